"""Trace a request from HTTP through the workflow to SQL and the model. OTLP exports the spans, if an endpoint is set.

Spans hold names, ids, numbers and SQL statements without parameters; they must not hold secrets or texts of users.
FastAPI and Temporal's plugin create their own spans. This module creates the spans of other outbound calls.
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
"""Timeout for exporting the last spans when a process ends."""


class TracingSettings(BaseSettings):
    """`OTEL_EXPORTER_OTLP_ENDPOINT`, such as `http://collector:4318`. OpenTelemetry's SDK reads its other variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    otel_exporter_otlp_endpoint: str | None = None


@dataclass(slots=True)
class _Process:
    """The tracing state of the process. OpenTelemetry has one global provider, too."""

    provider: "ReplaySafeTracerProvider | None" = None


_process: Final = _Process()


class Attributes(Protocol):
    """A span to which a caller can add attributes."""

    def set_attribute(self, key: str, value: str | int, /) -> None: ...


class _Untraced:
    def set_attribute(self, key: str, value: str | int, /) -> None:
        pass


_UNTRACED: Final = _Untraced()


def start_tracing(service: str) -> None:
    """Import and set up OpenTelemetry if an endpoint is set. Call it before creating clients and engines."""
    if TracingSettings().otel_exporter_otlp_endpoint is None:
        return
    from workflows.telemetry.span_export import tracer_provider  # noqa: PLC0415  # costs time and memory, so only if it is used

    _process.provider = tracer_provider(service)


def tracing_is_on() -> bool:
    return _process.provider is not None


def stop_tracing() -> None:
    """Export the remaining spans, within `FLUSH_S`."""
    if _process.provider is not None:
        last = Thread(target=_process.provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_S)


def plugins() -> list[Plugin]:
    """The plugins of a Temporal client. The client's workers inherit them."""
    if _process.provider is None:
        return []
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin  # noqa: PLC0415  # as above

    return [OpenTelemetryPlugin(add_temporal_spans=True)]


def current_span() -> dict[str, str]:
    """The `trace_id` and `span_id` in the format of tracing backends; empty without a span."""
    if _process.provider is None:
        return {}
    from opentelemetry import trace  # noqa: PLC0415  # as above

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


@contextmanager
def span(name: str, attributes: Mapping[str, str | int]) -> Iterator[Attributes]:
    """Trace a call to another service. A failed span shows only the error's type, because a message may quote data."""
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
