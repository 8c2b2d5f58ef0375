"""Logs of every process: one JSON object a line, on stderr, whoever writes them."""

import logging
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from workflows.telemetry.masking import masked
from workflows.telemetry.tracing import current_span

_TEMPORAL: Final = ("temporal_workflow", "temporal_activity")
"""What Temporal's SDK hangs on its own lines and on those of `workflow.logger`."""


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
    """Writes a component's lines."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def configure_logging(service: str) -> None:
    """Lines carry `service`, `component` (the logger's name), the span where one is traced, and what the context binds.

    A line names events and ids, never their data; what slips in is masked. Libraries log through the standard library;
    their lines take the same form, and of an exception they keep the type and the place, because its message may quote
    what was at hand.
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
    assert isinstance(clean, dict)  # noqa: S101  # for the type
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
