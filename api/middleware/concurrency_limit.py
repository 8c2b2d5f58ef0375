"""Limit the number of concurrent requests."""

from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import error_body

_HEALTH: Final = frozenset({"/healthz", "/readyz", "/metrics", "/metrics/work"})
_BUSY: Final = "The service is overloaded. Try again after the seconds in Retry-After"


class ConcurrencyLimit:
    """Limit the number of concurrent requests. Further ones get 503 before they are read; health routes are exempt."""

    def __init__(self, app: ASGIApp, max_requests: int) -> None:
        self._app = app
        self._free = max_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
        elif self._free == 0:
            busy = JSONResponse(error_body("OVERLOADED_503", _BUSY), 503, headers={"Retry-After": "1"})
            await busy(scope, receive, send)
        else:
            self._free -= 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._free += 1
