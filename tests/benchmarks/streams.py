"""`python -m tests.benchmarks.streams`: open STREAMS event streams on one API process, and time EVENTS of them.

Each stream follows an assessment of its own. `memory per stream` is the growth of the process's resident memory.
`event` is the time from the commit of a transition until the client has read its event. The floor is the time until a
plain listener of PostgreSQL has the notification of the same transition.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import psutil
import psycopg
from pydantic import SecretStr

from api.security.tokens import Tokens
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Process, Program
from persistence.content.loader import load_content
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.queries.student_pages import PROGRESS_CHANNEL
from tests.benchmarks import report, workload
from tests.benchmarks.connections import request_bytes
from tests.benchmarks.servers import READY_WITHIN_S, SECRET
from tests.support.databases import CONTENT, settings_of
from tests.support.deployment import libpq

STREAMS: Final = int(os.environ.get("STREAMS", "1000"))
EVENTS: Final = int(os.environ.get("EVENTS", "300"))
WARM: Final = 20
"""Streams that are opened before the memory is measured, so that caches are filled."""
AT_ONCE: Final = 8
"""How many streams are opened at the same time."""
WITHIN_S: Final = 60

_SUBMITTED: Final = """
INSERT INTO assessments (id, user_id, organization_id, role_id, status, expires_at, submitted_at)
SELECT gen_random_uuid(), id, organization_id, %s, 'awaiting_async', now() + interval '1 day', now()
FROM users WHERE role = 'student' RETURNING id, user_id
"""


def main() -> None:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        EmbeddedPostgres(Path(directory) / "postgres", free_port()) as server,
    ):
        upgrade(settings_of(server.url))
        asyncio.run(_load(server.url))
        streams = _requests(server.url)
        with _api(server.url, Path(directory)) as (port, process):
            _print(**asyncio.run(_measure(libpq(server.url), port, process, streams)))


async def _load(url: str) -> None:
    engine = create_engine(settings_of(url))
    await load_content(engine, CONTENT)
    await engine.dispose()


def _requests(url: str) -> dict[UUID, bytes]:
    """Store submitted assessments of new students. Return the request of each one's stream, by assessment."""
    students = {each.id: each for each in workload.add_students(url, STREAMS + WARM)}
    tokens = Tokens(SecretStr(SECRET), timedelta(hours=1))
    with psycopg.connect(libpq(url)) as connection:
        rows = connection.execute(_SUBMITTED, [workload.ROLE_ID]).fetchall()
    return {
        assessment_id: request_bytes(
            "GET", f"/api/v1/assessments/{assessment_id}/events", token=tokens.issue(students[user_id].principal)
        )
        for assessment_id, user_id in rows
    }


@contextmanager
def _api(url: str, directory: Path) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    environment = dict(os.environ) | {
        "MICROCRED_ENV": "development",
        "DATABASE_URL": url,
        "JWT_SECRET": SECRET,
        "TOKEN_MINUTES": "60",
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        "API_PORT": str(port),
        "API_URL": f"http://127.0.0.1:{port}",
        "RATE_LIMIT_READS": "1000000/minute",
    }
    program = Program(
        name="api",
        command=(sys.executable, "-m", "api"),
        log=directory / "api.log",
        env=environment,
        cwd=Path.cwd(),
    )
    process = Process(program)
    try:
        process.wait_until(lambda: _serves(port), timeout_s=READY_WITHIN_S)
        yield port, psutil.Process(process.pid)
    finally:
        process.stop(grace_s=30)


def _serves(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False


async def _measure(url: str, port: int, process: psutil.Process, streams: dict[UUID, bytes]) -> dict[str, Any]:
    requests = list(streams.items())
    for _, request in requests[:WARM]:
        await _open(port, request)
    before = process.memory_info().rss
    opened: dict[UUID, asyncio.StreamReader] = {}
    started = time.perf_counter()
    for place in range(WARM, len(requests), AT_ONCE):
        part = requests[place : place + AT_ONCE]
        readers = await asyncio.gather(*(_open(port, request) for _, request in part))
        opened |= {assessment_id: reader for (assessment_id, _), reader in zip(part, readers, strict=True)}
    opened_s = time.perf_counter() - started
    memory = (process.memory_info().rss - before) / len(opened)
    floor, events = await _times(url, opened)
    return {"memory": memory, "opened_s": opened_s, "floor": floor, "events": events}


async def _open(port: int, request: bytes) -> asyncio.StreamReader:
    """Open a stream and read its first event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await _until(reader, b'"submitted"')
    _WRITERS.append(writer)
    return reader


_WRITERS: Final[list[asyncio.StreamWriter]] = []
"""The open streams' writers. A writer that is collected closes its stream."""


async def _until(reader: asyncio.StreamReader, text: bytes) -> float:
    """Read until the text has arrived, and return the time."""
    try:
        async with asyncio.timeout(WITHIN_S):
            await reader.readuntil(text)
    except asyncio.IncompleteReadError as error:
        raise RuntimeError(f"The stream ended: {error.partial!r}") from None
    return time.perf_counter()


async def _times(url: str, opened: dict[UUID, asyncio.StreamReader]) -> tuple[list[float], list[float]]:
    """Let a worker claim EVENTS assessments one by one. Return the milliseconds of notifications and of events."""
    floor, events = [], []
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as writer,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as listener,
    ):
        await listener.execute(f"LISTEN {PROGRESS_CHANNEL}".encode())
        for assessment_id in list(opened)[:EVENTS]:
            notified = asyncio.create_task(_notified(listener))
            arrived = asyncio.create_task(_until(opened[assessment_id], b'"claimed"'))
            await asyncio.sleep(0.01)
            await writer.execute("UPDATE assessments SET claimed_at = now() WHERE id = %s", [assessment_id])
            committed = time.perf_counter()
            floor.append(1000 * max(await notified - committed, 0))
            events.append(1000 * max(await arrived - committed, 0))
    return floor, events


async def _notified(listener: psycopg.AsyncConnection[Any]) -> float:
    async for _ in listener.notifies(timeout=WITHIN_S, stop_after=1):
        return time.perf_counter()
    raise TimeoutError


def _print(memory: float, opened_s: float, floor: list[float], events: list[float]) -> None:
    kinds = {"notification (floor)": floor, "event": events}
    rows = [(name, statistics.median(times), statistics.quantiles(times, n=20)[-1]) for name, times in kinds.items()]
    report.say(f"{STREAMS} open streams on one process, {EVENTS} events one by one")
    report.say(f"memory per stream: {memory / 1024:.1f} KiB; opened in {opened_s:.1f} s")
    report.say(report.table(("milliseconds after the commit", "p50", "p95"), rows))
    figures = [dict(zip(("kind", "p50_ms", "p95_ms"), row, strict=True)) for row in rows]
    report.write("bench-streams", {"streams": STREAMS, "memory_bytes_per_stream": memory, "rows": figures})


if __name__ == "__main__":
    main()
