"""A partner's webhook endpoint that records requests and that a test can delay or make fail."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

from deploy.local.ports import HOST
from deploy.local.process import Startable
from tests.support.deployment import START_TIMEOUT_S


class Recorder(Startable):
    """A webhook endpoint in a thread. It responds to an event with its next code in `codes`, then with `otherwise`.

    Responses wait while `held` is clear.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.codes: dict[str, list[int]] = {}
        self.otherwise = 200
        self.held = threading.Event()
        self.held.set()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                recorder.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                recorder.held.wait(START_TIMEOUT_S)
                codes = recorder.codes.get(self.headers["webhook-id"], [])
                self.send_response(codes.pop(0) if codes else recorder.otherwise)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a killed worker closes the connection
        self.url = f"http://{HOST}:{self._server.server_port}/hooks"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, event_id: UUID) -> int:
        """Return how often the event arrived."""
        return sum(headers["webhook-id"] == str(event_id) for headers, _ in self.requests)
