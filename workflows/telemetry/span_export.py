"""Set up OpenTelemetry's SDK. Only processes that export spans import this module."""

from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider, create_tracer_provider

_WRITTEN_BY_CALLERS: Final = ("url.path", "url.query", "server.address")
"""Attributes with raw client input that FastAPI sets on its spans; `http.route` identifies the route."""


class _Blanks(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  # the SDK's signature
        for name in _WRITTEN_BY_CALLERS:
            if name in (span.attributes or {}):
                span.set_attribute(name, "***")


def tracer_provider(service: str) -> ReplaySafeTracerProvider:
    """Create the process's tracer provider, replay-safe for workflows. The exporter reads `OTEL_EXPORTER_OTLP_…`.

    Only the trace context is propagated, not a caller's baggage, which would enter workflow histories.
    """
    provider = create_tracer_provider(resource=Resource.create({"service.name": f"microcred-{service}"}))
    provider.add_span_processor(_Blanks())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    return provider
