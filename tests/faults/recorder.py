"""A partner that tests in other processes' sight can hold up, refuse and ask what it was sent."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

from deploy.local.ports import HOST
from deploy.local.process import Startable
from tests.support.deployment import START_TIMEOUT_S


class Recorder(Startable):
    """A partner in a thread: keeps every request, and answers what `codes` holds for an event, `otherwise` after that.

    While `held` is clear, answers wait.
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
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a killed worker hangs up
        self.url = f"http://{HOST}:{self._server.server_port}/hooks"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, event_id: UUID) -> int:
        """How often it arrived."""
        return sum(headers["webhook-id"] == str(event_id) for headers, _ in self.requests)
