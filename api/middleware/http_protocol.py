"""uvicorn's HTTP protocol with limits on header time and size, strict framing, and graceful shutdown."""

import asyncio
import json
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.errors import error_body

HEAD_TIMEOUT_S: Final = 10.0
MAX_HEAD_BYTES: Final = 32 * 1024
_SEPARATORS: Final = len(b": \r\n")
"""Counted per header: without separators, 30,000 headers of one letter would be only 30 kB."""
_CHUNK_BYTES: Final = 8 * 1024
"""Bytes parsed at once. The size of the headers is checked after each piece."""
UNREAD_TIMEOUT_S: Final = 5.0
LINGER_S: Final = 1.0
WRITE_TIMEOUT_S: Final = 30.0
MIN_READ_BYTES: Final = 64 * 1024
"""While the write buffer of a connection is full, the client must read this many bytes in each `WRITE_TIMEOUT_S`. A
response of several MB is in the buffer as a whole, so emptying the buffer may take a slow client longer."""

_MALFORMED: Final = (b"400 Bad Request", error_body("VALIDATION_400", "The request is not valid HTTP"))
_TOO_LONG: Final = (
    b"431 Request Header Fields Too Large",
    error_body("HEADERS_TOO_LARGE_431", "Request line and headers exceed 32 KiB"),
)


class BoundedConnection(HttpToolsProtocol):
    """A connection that closes if request line and headers take more than 10 s or 32 KiB.

    It also closes if the client sends a body for more than 5 s after the response, or reads less than 64 KiB of a
    response in 30 s: its request would count as a concurrent one for ever. Trailers are ignored, because as headers
    they would arrive after all checks. An `Upgrade` header is ignored: the request is answered over HTTP/1.1.

    On shutdown, an idle connection stays open for one more second. A request that arrives in this time is answered with
    `Connection: close`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # uvicorn's
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._in_head = True
        self._upgrade_request = b""
        self._error = _MALFORMED
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._close_after(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_after(None)
        super().connection_lost(exc)
        self._end_write_timeout()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_write_timeout()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_write_timeout()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for start in range(0, len(data), _CHUNK_BYTES):
            self._receive_chunk(data[start : start + _CHUNK_BYTES])
            if self.transport.is_closing():
                return
        # A blank line cancels uvicorn's keep-alive timeout but does not start a request.
        if self._in_head and self._deadline is None and self._is_idle():
            self._close_after(HEAD_TIMEOUT_S)

    def _receive_chunk(self, chunk: bytes) -> None:
        self._head_bytes += len(chunk)  # parser callbacks reset it at the end of the headers, body parts and requests
        self._feed(chunk)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._error = _TOO_LONG
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._close_after(HEAD_TIMEOUT_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Raise ValueError for ambiguous or too large headers. The parser turns it into the error response."""
        self._close_after(None)
        if len(self.url) + sum(len(name) + len(value) + _SEPARATORS for name, value in self.headers) > MAX_HEAD_BYTES:
            self._error = _TOO_LONG
            raise ValueError(MAX_HEAD_BYTES)
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"} or not self._is_unambiguous(version):
            raise ValueError(version)
        tunnel = self.parser.get_method() == b"CONNECT"
        if self.parser.should_upgrade() and not tunnel:
            kept = [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
            line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version.encode())
            self._upgrade_request = b"".join((line, *kept, b"\r\n"))
            return
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()
        if self._stopping or tunnel:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._upgrade_request:
            super().on_message_complete()
        self._in_head, self._head_bytes = True, 0
        self._close_after(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and self._is_idle():  # the body is unread, and no pipelined request has started
            self._close_after(UNREAD_TIMEOUT_S)

    def _feed(self, data: bytes) -> None:
        rest: memoryview | None = memoryview(data)
        try:
            while rest is not None:
                rest = self._parse_until_upgrade(rest)
                if self._upgrade_request:
                    head, self._upgrade_request = self._upgrade_request, b""
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.feed_data(head)
        except httptools.HttpParserError:
            self.send_400_response("")

    def _parse_until_upgrade(self, data: memoryview) -> memoryview | None:
        """Parse the data up to headers with `Upgrade`, and return the rest, which the parser has not read."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :] if self._upgrade_request else None
        return None

    def _is_unambiguous(self, version: str) -> bool:
        """Return whether all servers on the way agree on the host and on the end of the body."""
        names = [name for name, _ in self.headers]
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        hosts = names.count(b"host")
        return (hosts == 1 or (hosts == 0 and version == "1.0")) and codings in ([], [b"chunked"])

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's text is replaced by JSON
        cycle: RequestResponseCycle | None = self.cycle
        if not self._in_head and cycle is not None and cycle.response_started:
            self.transport.close()  # the client would take a second response for that of its next request
            return
        status, content = self._error
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

    def _start_write_timeout(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._write_deadline = self.loop.call_later(WRITE_TIMEOUT_S, self._check_reading, unread)

    def _check_reading(self, unread: int) -> None:
        """Abort if the client has read too little since `unread` bytes were in the buffer.

        Aborting discards the buffer; closing would wait until the client has read it.
        """
        if unread - self.transport.get_write_buffer_size() < MIN_READ_BYTES:
            self.transport.abort()
        else:
            self._start_write_timeout()

    def _end_write_timeout(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _close_after(self, seconds: float | None) -> None:
        """Set the deadline in place of the previous one; None removes it."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.close)
