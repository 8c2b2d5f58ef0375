"""The span of a statement has its text and its outcome, and none of its parameters."""

from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer
from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import create_engine, in_autocommit
from persistence.statement_spans import trace_statements
from tests.support.databases import settings_of

MARKER = "marker-5521"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exported: InMemorySpanExporter) -> TracerProvider:
    """A separate tracer provider, because that of the process cannot be removed again."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return provider


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("test")


@pytest.fixture
async def traced(database_url: str, provider: TracerProvider) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(database_url))
    trace_statements(engine, provider)
    yield engine
    await engine.dispose()


async def test_a_statement_is_a_child_of_the_current_span(
    traced: AsyncEngine, tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    async with in_autocommit(traced).connect() as connection:
        with tracer.start_as_current_span("work"):
            await connection.execute(text("SELECT CAST(:word AS text)"), {"word": MARKER})

    statement, work = exported.get_finished_spans()
    assert (statement.name, statement.parent) == ("SELECT", work.context)
    assert "SELECT CAST(" in str((statement.attributes or {})["db.query.text"])
    assert MARKER not in statement.to_json()


async def test_an_error_is_recorded_by_its_type(
    traced: AsyncEngine, tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    async with traced.connect() as connection:
        with tracer.start_as_current_span("work"), pytest.raises(DataError):
            await connection.execute(text("SELECT CAST(:word AS integer)"), {"word": MARKER})

    [statement] = [span for span in exported.get_finished_spans() if span.name == "SELECT"]
    assert statement.status.status_code is StatusCode.ERROR
    assert (statement.attributes or {})["error.type"] == "InvalidTextRepresentation"
    assert MARKER not in statement.to_json()


async def test_a_statement_outside_of_a_span_has_no_span(traced: AsyncEngine, exported: InMemorySpanExporter) -> None:
    async with traced.connect() as connection:
        await connection.execute(text("SELECT 1"))

    assert exported.get_finished_spans() == ()
