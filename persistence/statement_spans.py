"""Tracing of SQL statements. Imported only where spans are exported."""

from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

STATEMENT_CHARS: Final = 500
_KEY: Final = "span"


def trace_statements(engine: AsyncEngine, provider: TracerProvider | None = None) -> None:
    """Create a span for each statement that runs inside a recorded span; the text has placeholders, not parameters.

    `provider` defaults to the process's tracer provider.
    """
    tracer = trace.get_tracer("microcred.sql", tracer_provider=provider)

    def begin(connection: Connection, _: Any, statement: str, *__: Any) -> None:  # noqa: ANN401  # SQLAlchemy's signature
        if trace.get_current_span().is_recording():
            connection.info[_KEY] = tracer.start_span(
                statement.lstrip().partition(" ")[0].upper(),
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": "postgresql", "db.query.text": statement[:STATEMENT_CHARS]},
            )

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", _end)
    event.listen(engine.sync_engine, "handle_error", _fail)


def _end(connection: Connection, *_: Any) -> None:  # noqa: ANN401  # SQLAlchemy's signature
    span: Span | None = connection.info.pop(_KEY, None)
    if span is not None:
        span.end()


def _fail(context: ExceptionContext) -> None:
    """Record only the type of the error, because the driver's message quotes values."""
    if context.connection is None:
        return
    span: Span | None = context.connection.info.pop(_KEY, None)
    if span is not None:
        span.set_attribute("error.type", type(context.original_exception).__name__)
        span.set_status(StatusCode.ERROR)
        span.end()
