"""Limit the number of concurrent requests and, separately, of open event streams."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final
from uuid import UUID

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import error_body
from domain.errors import TooManyRequests

_HEALTH: Final = frozenset({"/healthz", "/readyz", "/metrics", "/metrics/work"})
_BUSY: Final = "The service is overloaded. Try again after the seconds in Retry-After"
STREAMS: Final = "/events"
"""The end of the path of every event stream. A stream is open for minutes, but costs little."""
MAX_STREAMS_OF_USER: Final = 50
"""A browser needs one for each open page; a script for the assessments of a class can follow them in turns."""
_RETRY_S: Final = 5


class ConcurrencyLimit:
    """Limit concurrent requests. Further ones get 503 before they are read; health routes are exempt.

    Event streams have a limit of their own, so that open pages do not keep other requests out. A request that waits for
    a result counts as a stream meanwhile: `request.state.as_stream`. The route of a stream names its user with
    `request.state.claim_stream`, because only authentication finds the user.
    """

    def __init__(self, app: ASGIApp, max_requests: int, max_streams: int) -> None:
        self._app = app
        self._free = {False: max_requests, True: max_streams}
        self._streams_of = Counter[UUID]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
            return
        streams = scope["path"].endswith(STREAMS)
        if self._free[streams] <= 0:  # less after requests that waited
            busy = JSONResponse(error_body("OVERLOADED_503", _BUSY), 503, headers={"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        owners: list[UUID] = []
        state = scope.setdefault("state", {})
        state["as_stream"], state["claim_stream"] = self._as_stream, partial(self._claim_stream, owners)
        self._free[streams] -= 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._free[streams] += 1
            for owner in owners:
                self._streams_of[owner] -= 1
                if not self._streams_of[owner]:
                    del self._streams_of[owner]

    def _claim_stream(self, owners: list[UUID], user_id: UUID) -> None:
        """Count the request as a stream of this user until it ends.

        Raises:
            TooManyRequests: the user has too many open streams.
        """
        if self._streams_of[user_id] >= MAX_STREAMS_OF_USER:
            raise TooManyRequests("Too many open streams. Close one, or try again later", retry_after_s=_RETRY_S)
        self._streams_of[user_id] += 1
        owners.append(user_id)

    @contextmanager
    def _as_stream(self) -> Iterator[bool]:
        """Count a request as a stream inside the block. The value is false if there are too many streams."""
        if self._free[True] <= 0:
            yield False
            return
        self._free[True] -= 1
        self._free[False] += 1
        try:
            yield True
        finally:
            self._free[True] += 1
            self._free[False] -= 1
