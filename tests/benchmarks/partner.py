"""`python -m tests.benchmarks.partner PORT`: serve partners' webhook endpoints with very little CPU time.

`/ok` responds with 200 after 20 ms, `/hang` never responds, `/drip` sends one byte of its head per second.
"""

import asyncio
import re
import sys
from typing import Final

ANSWER_AFTER_S: Final = 0.02
_LENGTH: Final = re.compile(rb"(?i)content-length: *(\d+)")


class Partner(asyncio.Protocol):
    """Handle the requests of one connection one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        loop = asyncio.get_running_loop()
        if head.startswith(b"POST /ok "):
            loop.call_later(ANSWER_AFTER_S, self._write, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        elif head.startswith(b"POST /drip "):
            self._drip(b"HTTP/1.1 200 OK\r\nX: ")

    def _drip(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._write(data)
            asyncio.get_running_loop().call_later(1, self._drip, b"x")

    def _write(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        if not self._transport.is_closing():
            self._transport.write(data)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Partner, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
