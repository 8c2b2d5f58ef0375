"""An OpenAI-compatible model over HTTP.

`ModelServer` runs in its own thread, so that workers in other processes can call it. Its responses come first from
`script`, one per request, then from `rule`, or from `vectors` for embeddings. `fake_completions` has ready-made ones.
"""

import asyncio
import socket
import struct
import threading
from collections import deque
from dataclasses import replace
from typing import Final, Self

from tests.support.fake_completions import (
    EMBEDDING_MODEL,
    MODEL,
    UNKNOWN_MODEL,
    WRONG_KEY,
    Answer,
    Asked,
    Play,
    Rule,
    embedded,
    good,
)

KEY: Final = "sk-of-the-test-server"


class ModelServer:
    """A server at `base_url` from `start` to `stop`. It rejects other keys and unknown models."""

    def __init__(
        self, rule: Rule | None = None, *, key: str = KEY, models: tuple[str, ...] = (MODEL, EMBEDDING_MODEL)
    ) -> None:
        self.rule: Rule = rule or good
        self.vectors: Rule = embedded
        self.asked: list[Asked] = []
        self._key = key
        self._models = models
        self._script: deque[Play] = deque()
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model-server", daemon=True)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def script(self, *plays: Play) -> None:
        """Set the responses of the next requests; later requests use the rule."""
        self._script.extend(plays)

    def reset(self) -> None:
        """Restore the initial state: no script, no recorded requests."""
        self.rule = good
        self.vectors = embedded
        self._script.clear()
        self.asked.clear()
        if self._server is None:
            self.accept_connections()

    def start(self) -> Self:
        self._thread.start()
        self.accept_connections()
        return self

    def stop(self) -> None:
        self.refuse_connections()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def refuse_connections(self) -> None:
        """Close the port and all connections, like a provider that is unavailable."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    def accept_connections(self) -> None:
        """Listen on the previous port again."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=256)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            while (asked := await _request(reader)) is not None:
                self.asked.append(asked)
                await _send(self._answer(asked), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the server closed the connection
        finally:
            self._talks.discard(talk)
            writer.transport.abort()

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self._key}":
            return WRONG_KEY
        if asked.json.get("model") not in self._models:
            return UNKNOWN_MODEL
        rule = self.vectors if asked.path.endswith("/embeddings") else self.rule
        play = self._script.popleft() if self._script else rule
        answer = play(asked) if callable(play) else play
        return replace(answer, headers={"x-request-id": f"req-{len(self.asked)}", **answer.headers})


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    """Return the connection's next request, or None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(path=first.split(" ")[1], headers=headers, body=body)


async def _send(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if answer.after_s:
        await _unless_gone(reader, answer.after_s)
    headers = {"content-type": "application/json", "content-length": str(len(answer.body)), **answer.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Scripted\r\n{lines}\r\n".encode("latin-1"))
    if answer.reset_at is not None:
        writer.write(answer.body[: answer.reset_at])
        await writer.drain()
        await asyncio.sleep(0.05)  # a reset discards unread bytes
        linger = struct.pack("ii", 1, 0)  # closing without lingering resets the connection
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise ConnectionResetError
    for start in range(0, len(answer.body), 1) if answer.drip_s else ():
        writer.write(answer.body[start : start + 1])
        await _unless_gone(reader, answer.drip_s)
    if not answer.drip_s:
        writer.write(answer.body)
    await writer.drain()


async def _unless_gone(reader: asyncio.StreamReader, wait_s: float) -> None:
    """Wait. Stop early with ConnectionResetError if the client closes the connection."""
    try:
        async with asyncio.timeout(wait_s):
            await reader.read(1)
    except TimeoutError:
        return
    raise ConnectionResetError
