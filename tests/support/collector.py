"""Collect OTLP spans over HTTP and write them to the log directory, where tests look for leaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from deploy.local.ports import HOST

Attributes: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: Attributes
    failed: bool


class Collector:
    """A collector; `endpoint` is the value for OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self, endpoint: str, file: Path) -> None:
        self.endpoint = endpoint
        self._file = file
        self._spans: list[Span] = []
        self._lock = Lock()

    def spans(self, name: str = "") -> list[Span]:
        """Return the spans whose name starts with `name`."""
        with self._lock:
            return [span for span in self._spans if span.name.startswith(name)]

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans() if span.trace == trace_id]

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for part in request.resource_spans:
                service = next(each.value.string_value for each in part.resource.attributes if each.key == SERVICE)
                self._spans += [_span(service, each) for scope in part.scope_spans for each in scope.spans]
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{request}\n")


SERVICE = "service.name"


def _span(service: str, message: Message) -> Span:
    values = {each.key: each.value for each in message.attributes}
    return Span(
        service=service,
        name=message.name,
        trace=message.trace_id.hex(),
        id=message.span_id.hex(),
        parent=message.parent_span_id.hex(),
        attributes={key: value.string_value or str(value.int_value) for key, value in values.items()},
        failed=message.status.code == message.status.STATUS_CODE_ERROR,
    )


@contextmanager
def collector(file: Path) -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Suppress the HTTP server's access log."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        taken = Collector(f"http://{HOST}:{server.server_port}", file)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield taken
        server.shutdown()
        thread.join()
