"""Logs of every process: one JSON object a line, on stderr."""

import sys

import structlog


def configure_logging(service: str) -> None:
    """Lines carry `service` and whatever the context binds; a line names events and ids, never their data."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
