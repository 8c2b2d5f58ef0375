"""The process `python -m api`: it serves without a workflow engine and stops gracefully."""

import asyncio
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_port
from tests.api.conftest import SECRET

START_S = 60


@pytest.fixture
def server(api_database: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    port, log = free_port(), tmp_path / "api.log"
    environment = {
        "PYTHONPATH": ".",
        "JWT_SECRET": SECRET,
        "WEBHOOK_SECRET_KEYS": secrets.token_urlsafe(32),
        "DATABASE_URL": api_database.replace("+psycopg", ""),
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "API_PORT": str(port),
    }
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stdout=output, stderr=output)
    yield process, f"http://127.0.0.1:{port}", log
    process.kill()
    process.wait()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_without_temporal_and_leaves_with_0(
    server: tuple[subprocess.Popen[bytes], str, Path], how: signal.Signals
) -> None:
    process, url, log = server
    ready = _wait(process, url)
    docs = httpx.get(f"{url}/docs")
    process.send_signal(how)
    assert process.wait(timeout=30) == 0
    assert (ready.json()["postgres"], ready.json()["temporal"]) == ("up", "down")
    assert docs.status_code == 200
    assert "server" not in ready.headers
    assert b"Traceback" not in log.read_bytes()


def _wait(process: subprocess.Popen[bytes], url: str) -> httpx.Response:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(f"{url}/readyz", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start: {process.poll()}")


async def test_what_had_begun_is_answered_and_the_listener_closes(
    server: tuple[subprocess.Popen[bytes], str, Path],
) -> None:
    process, url, _ = server
    await asyncio.to_thread(_wait, process, url)
    port = int(url.rpartition(":")[2])
    form = b"username=nobody@demo.example&password=wrong"
    head = (
        b"POST /api/v1/auth/token HTTP/1.1\r\nHost: api.test\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(form)
    )
    begun = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    for _, writer in begun:
        writer.write(head + form[:9])
    await asyncio.to_thread(httpx.get, f"{url}/readyz")  # until the headers of all requests have been read
    process.send_signal(signal.SIGTERM)
    while await _listens(port):  # noqa: ASYNC110  # another process
        await asyncio.sleep(0.02)
    for _, writer in begun:
        writer.write(form[9:])
    answers = [await asyncio.wait_for(reader.read(), START_S) for reader, _ in begun]
    for _, writer in begun:
        writer.close()
        await writer.wait_closed()
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"401"] * 8
    assert await asyncio.to_thread(process.wait, 30) == 0


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
