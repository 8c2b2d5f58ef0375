"""Set the correlation id of a request, its log lines and its audit rows, and handle unexpected exceptions."""

import re
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.debugging import frames_of, trace_of
from api.errors import error_body

HEADER: Final = "X-Request-Id"
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_ASSESSMENT: Final = re.compile(r"/assessments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|$)")

log = structlog.get_logger(__name__)


class Correlation:
    """Pure ASGI middleware: it needs no extra task, and it sees exceptions before a response has started."""

    def __init__(self, app: ASGIApp, *, debug: bool = False) -> None:
        """`debug`: raise an unexpected exception again after the client has received its response."""
        self._app = app
        self._debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = _correlation_id(Headers(scope=scope).get(HEADER, ""))
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[HEADER] = correlation_id
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **_assessment_id(scope["path"])):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                log.info("client_gone")
            except Exception as error:  # no internal detail may reach the client
                _log(error, debug=self._debug)
                if not started:
                    await _internal_error(correlation_id)(scope, receive, send_with_id)
                if self._debug:
                    raise


def _correlation_id(offered: str) -> str:
    return offered if _ACCEPTED.fullmatch(offered) else str(uuid4())


def _assessment_id(path: str) -> dict[str, str]:
    """Return the assessment id in the path for the log context. Only a valid id is logged."""
    found = _ASSESSMENT.search(path)
    return {"assessment_id": found[1]} if found else {}


def _internal_error(correlation_id: str) -> JSONResponse:
    message = f"An unexpected error occurred. Report it with the id {correlation_id}"
    return JSONResponse(error_body("INTERNAL_500", message), 500)


def _log(error: Exception, *, debug: bool) -> None:
    """Log the exception's type and stack frames. Log its message only with `debug`: it may contain the input."""
    more = {"trace": trace_of(error)} if debug else {}
    log.error("request_failed", error_type=type(error).__qualname__, frames=frames_of(error), **more)
