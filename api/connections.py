"""uvicorn's connections, with bounds of time and size around the request, and an orderly end."""

import asyncio
import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.errors import body

HEAD_TIMEOUT_S: Final = 10.0
MAX_HEAD_BYTES: Final = 32 * 1024
UNREAD_TIMEOUT_S: Final = 5.0
LINGER_S: Final = 1.0

_MALFORMED: Final = (b"400 Bad Request", body("VALIDATION_400", "The request is not valid HTTP"))
_TOO_LONG: Final = (b"431 Request Header Fields Too Large", body("HEADERS_TOO_LARGE_431", "The headers are too large"))


class BoundedConnection(HttpToolsProtocol):
    """Closes when request line and headers take more than 10 s or 32 KiB, or a body that was refused goes on for 5 s.

    When the server stops, a connection without a request stays open for a second more: what its client had sent
    already, or was about to send, is answered, with `Connection: close`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # uvicorn's
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._in_head = True
        self._refusal = _MALFORMED
        self._deadline: asyncio.TimerHandle | None = None
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._close_after(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)  # begun anew where a request ends in these data
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refusal = _TOO_LONG
            self.send_400_response("")
        elif self._deadline is None and self._is_idle():  # blank lines begin no request, and end uvicorn's idle time
            self._close_after(HEAD_TIMEOUT_S)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._close_after(HEAD_TIMEOUT_S)

    def on_headers_complete(self) -> None:
        """Raises ValueError, which the parser turns into the refusal, for a head that came in one piece."""
        self._in_head = False
        self._close_after(None)
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refusal = _TOO_LONG
            raise ValueError(MAX_HEAD_BYTES)
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0
        self._close_after(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and self._is_idle():  # not where the next request is on its way already
            self._close_after(UNREAD_TIMEOUT_S)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's is plain text
        status, content = self._refusal
        document = json.dumps(content).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(document)) + document)
        self.transport.close()

    def shutdown(self) -> None:
        self._stopping = True
        if self._is_idle():
            self.loop.call_later(LINGER_S, self._close_idle)
        else:
            self.cycle.keep_alive = False

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def _close_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _close_after(self, seconds: float | None) -> None:
        """Replaces the deadline before; None takes it away."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.close)
