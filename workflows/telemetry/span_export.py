"""OpenTelemetry's SDK as this project uses it. Imported only where spans are exported."""

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
"""What FastAPI puts on its spans as it came; `http.route` says which route it was."""


class _Blanks(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  # the SDK's signature
        for name in _WRITTEN_BY_CALLERS:
            if name in (span.attributes or {}):
                span.set_attribute(name, "***")


def tracer_provider(service: str) -> ReplaySafeTracerProvider:
    """The process's provider, replay-safe as workflows need it; the exporter reads OTEL_EXPORTER_OTLP_… itself.

    From a caller's headers the trace context is taken, and no baggage: that would end up in every history.
    """
    provider = create_tracer_provider(resource=Resource.create({"service.name": f"microcred-{service}"}))
    provider.add_span_processor(_Blanks())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    return provider
