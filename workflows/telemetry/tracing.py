"""One trace from the HTTP request through the run to the SQL and the model, by OTLP; off without an endpoint.

Spans hold names, ids, numbers and the text of statements without their parameters: nothing that a person wrote, and no
secret. FastAPI and Temporal's plugin make their own spans, this makes those around calls of others.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Final, Protocol

from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.client import Plugin

if TYPE_CHECKING:
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider

FLUSH_S: Final = 2.0
"""How long a process that ends waits for a collector to take its last spans."""


class TracingSettings(BaseSettings):
    """`OTEL_EXPORTER_OTLP_ENDPOINT`, such as `http://collector:4318`. OpenTelemetry's SDK reads its other variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    otel_exporter_otlp_endpoint: str | None = None


@dataclass(slots=True)
class _Process:
    """Tracing belongs to the process, as OpenTelemetry has it."""

    provider: "ReplaySafeTracerProvider | None" = None


_process: Final = _Process()


class Attributes(Protocol):
    """A span, as far as those who are traced know it."""

    def set_attribute(self, key: str, value: str | int, /) -> None: ...


class _Untraced:
    def set_attribute(self, key: str, value: str | int, /) -> None:
        pass


_UNTRACED: Final = _Untraced()


def start_tracing(service: str) -> None:
    """Imports and sets up OpenTelemetry where an endpoint is set; before clients and engines are made."""
    if TracingSettings().otel_exporter_otlp_endpoint is None:
        return
    from workflows.telemetry.span_export import tracer_provider  # noqa: PLC0415  # costs time and memory, so only where it is used

    _process.provider = tracer_provider(service)


def tracing_is_on() -> bool:
    return _process.provider is not None


def stop_tracing() -> None:
    """Sends what is left, as far as the collector takes it in time."""
    if _process.provider is not None:
        last = Thread(target=_process.provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_S)


def plugins() -> list[Plugin]:
    """For a Temporal client; its workers get them from it."""
    if _process.provider is None:
        return []
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin  # noqa: PLC0415  # as above

    return [OpenTelemetryPlugin(add_temporal_spans=True)]


def current_span() -> dict[str, str]:
    """`trace_id` and `span_id` as backends show them; empty where nothing is traced."""
    if _process.provider is None:
        return {}
    from opentelemetry import trace  # noqa: PLC0415  # as above

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


@contextmanager
def span(name: str, attributes: Mapping[str, str | int]) -> Iterator[Attributes]:
    """Around a call of another service. Of an error it keeps the type: a message may quote what was sent."""
    if _process.provider is None:
        yield _UNTRACED
        return
    from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415  # as above

    with _process.provider.get_tracer("microcred").start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(StatusCode.ERROR)
            raise
