"""One id for a request, its log lines and its audit rows; and the catch for what nobody else caught."""

import re
import traceback
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.debugging import trace_of
from api.errors import body

HEADER: Final = "X-Request-Id"
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_ASSESSMENT: Final = re.compile(r"/assessments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|$)")

log = structlog.get_logger(__name__)


class Correlation:
    """Pure ASGI, so that it costs no task and sees errors before any response is on the wire."""

    def __init__(self, app: ASGIApp, *, debug: bool = False) -> None:
        """`debug`: what nobody caught is raised again once the client has its answer."""
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

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **_subject(scope["path"])):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                log.info("client_gone")
            except Exception as error:  # the last resort: nothing below may reach the client
                _log(error, debug=self._debug)
                if not started:
                    await _internal_error(correlation_id)(scope, receive, send_with_id)
                if self._debug:
                    raise


def _correlation_id(offered: str) -> str:
    return offered if _ACCEPTED.fullmatch(offered) else str(uuid4())


def _subject(path: str) -> dict[str, str]:
    """By the path, so that it is known wherever the request ends; only what is an id gets into a log."""
    found = _ASSESSMENT.search(path)
    return {"assessment_id": found[1]} if found else {}


def _internal_error(correlation_id: str) -> JSONResponse:
    message = f"Something went wrong on our side; quote {correlation_id} when you report it"
    return JSONResponse(body("INTERNAL_500", message), 500)


def _log(error: Exception, *, debug: bool) -> None:
    """The type and the place, not the message unless `debug`: drivers and validators print the input in theirs."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    more = {"trace": trace_of(error)} if debug else {}
    log.error("request_failed", error_type=type(error).__qualname__, frames=frames[-12:], **more)
