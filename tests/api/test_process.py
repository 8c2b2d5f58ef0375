"""The process `python -m api`: it serves without an engine, and a stop is orderly."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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
        "WEBHOOK_SECRET_KEYS": "k" * 43,
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
