"""Logging of every process: one JSON object per line on stderr, for our code and for libraries."""

import logging
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from workflows.telemetry.masking import masked
from workflows.telemetry.tracing import current_span

_TEMPORAL: Final = ("temporal_workflow", "temporal_activity")
"""Fields that Temporal's SDK adds to its own lines and to those of `workflow.logger`."""


def _component(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    named = structlog.stdlib.add_logger_name(logger, method, line)
    named["component"] = named.pop("logger")
    return named


def _span(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    line.update(current_span())
    return line


_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    _component,
    _span,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


class _Lines(structlog.PrintLogger):
    """A logger that writes to stderr."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def configure_logging(service: str) -> None:
    """Configure structlog and the standard library's logging for a process.

    A line has the `service`, the `component` (the logger's name), the span if tracing is on, and the bound context.
    Lines must hold events and ids, not data; the masking processor is a second line of defence. Lines of libraries have
    the same format. Of an exception they show only type and location, because its message may quote data.
    """
    structlog.configure(
        processors=[*_SHARED, _masked, structlog.processors.JSONRenderer()],
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(_TEMPORAL), _workflow_id],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception_as_place,
                _masked,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def _masked(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    clean = masked(line)
    assert isinstance(clean, dict)  # noqa: S101  # narrows the type
    return clean


def _workflow_id(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    for about in _TEMPORAL:
        if about in line:
            line.setdefault("workflow_id", line.pop(about).get("workflow_id"))
    return line


def _exception_as_place(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    kind, _error, trace = line.pop("exc_info", None) or (None, None, None)
    if kind is not None:
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        line["error"] = kind.__name__
        line["where"] = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else None
    return line
