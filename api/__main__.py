"""`python -m api`: serve until SIGTERM or Ctrl-C, finish requests in progress, and exit."""

import signal
from types import FrameType
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from api.app import create_app
from api.middleware.http_protocol import BoundedConnection
from api.settings import ApiSettings
from workflows.engine.process_exit import run_and_leave
from workflows.telemetry.logs import configure_logging
from workflows.telemetry.tracing import start_tracing, stop_tracing

GRACE_S: Final = 20
"""Time for requests in progress after the stop signal."""


def serve(settings: ApiSettings) -> int:
    """Run the server and return the exit code: 0 after a graceful stop, not 0 if the server did not start."""
    app = create_app()
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # api.security.client_address reads them, from trusted proxies only
            http=BoundedConnection,
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        ),
        app,
    )

    # uvicorn replaces these handlers while it runs, and raises the signal again after it has stopped.
    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server.run()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """A server that ends open event streams at the stop signal. Otherwise they would last for the grace period."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        services = getattr(self._app.state, "services", None)
        if services is not None:
            services.pages.streams.stop()


def main() -> int:
    configure_logging("api")
    start_tracing("api")
    try:
        return serve(ApiSettings())
    except ValidationError as error:
        problems = [{"field": ".".join(map(str, each["loc"])), "problem": each["msg"]} for each in error.errors()]
        structlog.get_logger("api").error("settings_refused", problems=problems)
        return 2
    finally:
        stop_tracing()


if __name__ == "__main__":
    run_and_leave(main)
