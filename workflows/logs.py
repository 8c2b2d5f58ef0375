"""Logs of every process: one JSON object a line, on stderr, whoever writes them."""

import logging
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(service: str) -> None:
    """Lines carry `service` and whatever the context binds; a line names events and ids, never their data.

    Libraries log through the standard library; their lines take the same form, and of an exception they keep the type
    and the place, because its message may quote what was at hand.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception_as_place,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def _exception_as_place(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    kind, _error, trace = line.pop("exc_info", None) or (None, None, None)
    if kind is not None:
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        line["error"] = kind.__name__
        line["where"] = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else None
    return line
