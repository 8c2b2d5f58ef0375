"""The HTTP protocol of the server, tested byte by byte over sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from api.app import build
from api.middleware.http_protocol import MAX_HEAD_BYTES, BoundedConnection
from api.middleware.response_headers import HttpSettings
from deploy.local.ports import HOST, free_port
from tests.api.conftest import UNLIMITED, Api, Person

GET = b"GET /healthz HTTP/1.1\r\nHost: api.test\r\n\r\n"
PATIENCE_S = 20


@dataclass
class Wire:
    """A server and its connections."""

    server: uvicorn.Server
    port: int
    connections: list["Connection"] = field(default_factory=list)

    async def open(self, *sent: bytes) -> "Connection":
        connection = Connection(*await asyncio.open_connection(HOST, self.port))
        connection.send(*sent)
        self.connections.append(connection)
        return connection


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Read a response: status, headers by lower-case name, and JSON body."""
        async with asyncio.timeout(PATIENCE_S):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, json.loads(body)

    async def is_closed_by_the_server(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read() == b""


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[Wire]:
    port = free_port()
    options: dict[str, Any] = {"http": BoundedConnection, "ws": "none", "lifespan": "off", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, timeout_graceful_shutdown=PATIENCE_S, **options))
    wire = Wire(server, port)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield wire
    finally:
        server.should_exit = True
        await task
        for connection in wire.connections:
            connection.writer.close()
            with suppress(OSError):
                await connection.writer.wait_closed()


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)


@pytest.fixture
async def wire(api: Api) -> AsyncIterator[Wire]:
    async with serving(app_of(api)) as wire:
        yield wire


def app_of(api: Api, **settings: float) -> FastAPI:
    app = build(http=HttpSettings.model_validate(settings), limits=UNLIMITED)
    app.state.services = api.services
    return app


def post(person: Person, *lines: str) -> bytes:
    """Return request line and headers of a request to start an assessment."""
    headers = [f"{name}: {value}" for name, value in person.headers.items()]
    head = ["POST /api/v1/assessments/start HTTP/1.1", "Host: api.test", "Content-Type: application/json"]
    return "\r\n".join([*head, *headers, *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: api.test\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\n" + b"X: 1\r\n" * MAX_HEAD_BYTES + b"\r\n",
        b"GET /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 4 * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\nHost: api.test\r\n" + b"X:\r\n" * 30_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\nX:" + b" " * 2 * MAX_HEAD_BYTES + b"1\r\n\r\n",
        b"\r\n" * 2 * MAX_HEAD_BYTES + GET,
    ],
    ids=[
        *("one header", "many headers", "a path", "a head without an end"),
        *("tiny headers", "blanks before a value", "blank lines before the request"),
    ],
)
async def test_a_long_head_is_refused(wire: Wire, head: bytes) -> None:
    connection = await wire.open(head)
    status, _, body = await connection.answer()
    assert (status, body["error_code"]) == (431, "HEADERS_TOO_LARGE_431")


async def test_a_head_just_below_the_limit_is_answered(wire: Wire) -> None:
    line = b"X: 123456\r\n"
    connection = await wire.open(GET[:-2] + line * ((MAX_HEAD_BYTES - len(GET)) // len(line)) + b"\r\n")
    status, _, _ = await connection.answer()
    assert status == 200


@pytest.mark.parametrize(
    "target", ["/%68ealthz", "http://api.test/%68ealthz", "/x/..%2fhealthz", "/./healthz", "/x/../healthz", "//healthz"]
)
async def test_a_path_in_another_spelling_is_refused(wire: Wire, target: str) -> None:
    connection = await wire.open(f"GET {target} HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
    status, _, body = await connection.answer()
    assert (status, body["error_code"]) == (400, "VALIDATION_400")


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: three\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
    ],
    ids=[
        *("TLS", "a header without colon", "two lengths of a kind", "two lengths", "a negative length", "a word"),
        *("a compressed body", "two hosts", "no host", "another version"),
    ],
)
async def test_what_is_not_http_is_refused_in_the_usual_form(wire: Wire, request_: bytes) -> None:
    connection = await wire.open(request_)
    status, headers, body = await connection.answer()
    assert (status, body["error_code"], headers["connection"]) == (400, "VALIDATION_400", "close")
    assert await connection.is_closed_by_the_server()


async def test_a_large_piece_of_a_body_does_not_count_as_headers(wire: Wire, learner: Person) -> None:
    body = b'{"role_id": "nothing"}' + b" " * 4 * MAX_HEAD_BYTES
    connection = await wire.open(post(learner, f"Content-Length: {len(body)}"))
    await asyncio.sleep(0.1)  # until the server has read the headers
    connection.send(body)
    status, _, answer = await connection.answer()
    assert (status, answer["details"][0]["field"]) == (400, "role_id")


async def test_blank_lines_do_not_hold_a_connection(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await wire.open(GET)
    await connection.answer()
    monkeypatch.setattr("api.middleware.http_protocol.HEAD_TIMEOUT_S", 0.2)
    connection.send(b"\r\n")  # a blank line starts no request, but ends the keep-alive timeout
    assert await connection.is_closed_by_the_server()


async def test_a_slow_body_is_refused_and_its_connection_closed(api: Api, learner: Person) -> None:
    async with serving(app_of(api, api_body_timeout_s=0.5)) as wire:
        connection = await wire.open(post(learner, "Content-Length: 100"), b'{"role_id"')
        status, headers, body = await connection.answer()
        assert (status, body["error_code"], headers["connection"]) == (408, "REQUEST_TIMEOUT_408", "close")
        assert await connection.is_closed_by_the_server()


async def test_a_client_that_does_not_read_its_responses_leaves_room_for_others(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.middleware.http_protocol.WRITE_TIMEOUT_S", 0.2)
    async with serving(app_of(api, api_max_requests=1)) as wire:
        await wire.open(b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: api.test\r\n\r\n" * 20)
        await until(lambda: wire.server.server_state.total_requests > 0)
        await until(lambda: not wire.server.server_state.connections)
        status, _, _ = await (await wire.open(b"GET /openapi.json HTTP/1.1\r\nHost: api.test\r\n\r\n")).answer()
    assert status == 200


async def test_a_client_that_reads_after_a_pause_gets_the_whole_response(api: Api) -> None:
    asked = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: api.test\r\n"
    async with serving(app_of(api)) as wire:
        connection = await wire.open((asked + b"\r\n") * 19, asked + b"Connection: close\r\n\r\n")
        await until(lambda: any(buffers_are_full(each) for each in wire.server.server_state.connections))
        received = await asyncio.wait_for(connection.reader.read(), PATIENCE_S)
    assert received.count(b"HTTP/1.1 200 OK") == 20


async def test_a_client_that_reads_slowly_gets_the_whole_response(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.middleware.http_protocol.WRITE_TIMEOUT_S", 0.5)
    app, document = app_of(api), b"x" * 50_000_000

    async def show(_: Request) -> Response:
        return Response(document)

    app.add_route("/large", show)
    async with serving(app) as wire:
        connection = await wire.open(b"GET /large HTTP/1.1\r\nHost: api.test\r\n\r\n")
        await connection.reader.readuntil(b"\r\n\r\n")
        for _ in range(50):
            await connection.reader.readexactly(1_000_000)
            await asyncio.sleep(0.03)  # together longer than the timeout


def buffers_are_full(connection: object) -> bool:
    """Return whether the server cannot send more at the moment, because the client does not read."""
    return isinstance(connection, BoundedConnection) and connection.flow.write_paused


async def test_a_chunked_body_over_the_limit_is_refused_while_it_arrives(wire: Wire, learner: Person) -> None:
    connection = await wire.open(post(learner, "Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    connection.send(*[chunk] * 17)
    status, _, body = await connection.answer()
    assert (status, body["error_code"]) == (413, "PAYLOAD_TOO_LARGE_413")


async def test_a_longer_body_than_declared_is_no_second_request(wire: Wire, learner: Person) -> None:
    connection = await wire.open(post(learner, "Content-Length: 2"), b"{}", b"{}\r\n\r\n")
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert await connection.is_closed_by_the_server()


@pytest.mark.parametrize("trailer", [b"X: 1\r\n" * MAX_HEAD_BYTES, b"X: " + b"x" * MAX_HEAD_BYTES], ids=["many", "one"])
async def test_endless_trailers_are_refused(wire: Wire, learner: Person, trailer: bytes) -> None:
    connection = await wire.open(post(learner, "Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\n")
    await asyncio.sleep(0.1)  # until the server has read the body
    connection.send(trailer)
    status, _, body = await connection.answer()
    assert (status, body["error_code"]) == (431, "HEADERS_TOO_LARGE_431")


async def test_a_trailer_is_no_header(wire: Wire, learner: Person) -> None:
    token = learner.headers["Authorization"].encode()
    head = b"GET /api/v1/me HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n"
    hidden = await wire.open(head, b"\r\n0\r\nAuthorization: ", token, b"\r\n\r\n")
    shown = await wire.open(head, b"Authorization: ", token, b"\r\n\r\n0\r\nX: 1\r\n\r\n")
    assert [(await each.answer())[0] for each in (hidden, shown)] == [401, 200]


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "anything"])
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
async def test_an_upgrade_header_is_ignored_and_the_body_is_read(
    wire: Wire, learner: Person, protocol: str, *, apart: bool
) -> None:
    body = b'{"role_id": "nothing"}'
    offer = [f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]
    connection = await wire.open(post(learner, *offer, f"Content-Length: {len(body)}"))
    if apart:
        await asyncio.sleep(0.1)  # until the server has read the headers
    connection.send(body, GET)
    first, second = await connection.answer(), await connection.answer()
    assert (first[0], first[2]["details"][0]["field"]) == (400, "role_id")
    assert second[0] == 200


async def test_a_body_that_looks_like_a_request_is_not_one_after_an_upgrade_header(wire: Wire, learner: Person) -> None:
    inner = GET + b"\r\n"
    head = [f"{name}: {value}" for name, value in learner.headers.items()]
    head += ["Host: a", "Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(inner)}"]
    connection = await wire.open("\r\n".join(["GET /api/v1/me HTTP/1.1", *head, "", ""]).encode())
    await asyncio.sleep(0.1)  # until the server has read the headers
    connection.send(inner, b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answers = [await connection.answer(), await connection.answer()]
    assert [status for status, _, _ in answers] == [200, 404]
    assert await connection.is_closed_by_the_server()


async def test_many_upgrade_headers_are_all_ignored(wire: Wire) -> None:
    offer = b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection = await wire.open(offer * 1_500)
    assert {(await connection.answer())[0] for _ in range(1_500)} == {404}


async def test_connect_opens_no_tunnel(wire: Wire) -> None:
    connection = await wire.open(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n", GET)
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert await connection.is_closed_by_the_server()


async def test_many_open_connections_leave_room_for_a_request(wire: Wire) -> None:
    for _ in range(500):
        await wire.open()
    status, _, _ = await (await wire.open(GET)).answer()
    assert status == 200


async def test_a_stopping_server_answers_requests_in_progress(api: Api, learner: Person) -> None:
    async with serving(app_of(api)) as wire:
        body = b'{"role_id": "nothing"}'
        fresh, idle = await wire.open(), await wire.open(GET)
        await idle.answer()
        sending = await wire.open(post(learner, f"Content-Length: {len(body)}"), body[:5])
        await asyncio.sleep(0.1)  # until the server has read the headers
        wire.server.should_exit = True
        await until(lambda: not wire.server.servers[0].is_serving())
        with pytest.raises(ConnectionRefusedError):
            await wire.open(GET)
        sending.send(body[5:])
        fresh.send(GET)
        idle.send(GET)
        answers = [await connection.answer() for connection in (sending, fresh, idle)]
        assert [status for status, _, _ in answers] == [400, 200, 200]
        assert {headers["connection"] for _, headers, _ in answers} == {"close"}


async def test_a_stopping_server_does_not_wait_for_idle_connections(api: Api) -> None:
    async with serving(app_of(api)) as wire:
        silent = await wire.open()
        await (await wire.open(GET)).answer()
    assert await silent.is_closed_by_the_server()
