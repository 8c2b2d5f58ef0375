"""Changes of an assessment's progress are notified by triggers, and the listener reconnects."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from domain.ids import derived_id
from persistence import notifications
from persistence.database import KEEPALIVE
from persistence.notifications import Listener
from persistence.queries.student_pages import PROGRESS_CHANNEL
from persistence.tables import AssessmentRow, AsyncJobRow
from tests.support.builders import an_assessment
from tests.support.databases import settings_of

Received = asyncio.Queue[str | None]


@pytest.fixture
async def received(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Received]:
    """What a listener has received, after its first connection."""
    monkeypatch.setattr(notifications, "RECONNECT_S", 0.1)
    queue: Received = asyncio.Queue()
    listener = Listener(settings_of(clean_database), PROGRESS_CHANNEL, queue.put_nowait)
    listener.start()
    assert await _next(queue) is None
    yield queue
    await listener.stop()


async def _next(queue: Received) -> str | None:
    return await asyncio.wait_for(queue.get(), 30)


async def test_transitions_and_finished_steps_are_notified(clean_engine: AsyncEngine, received: Received) -> None:
    async with async_sessionmaker(clean_engine)() as session:
        assessment = await an_assessment(session)
        job = derived_id("job", assessment.id)
        values = {"id": job, "assessment_id": assessment.id, "run": 1, "revision": 1, "job_type": "score_rules"}
        await session.execute(insert(AsyncJobRow).values(**values, status="running"))
        await session.commit()
        await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == job).values(status="succeeded"))
        await session.commit()
        first = await _next(received)
        awaiting = update(AssessmentRow).where(AssessmentRow.id == assessment.id).values(status="awaiting_async")
        await session.execute(awaiting)
        await session.commit()

    assert (first, await _next(received)) == (str(assessment.id), str(assessment.id))


async def test_after_a_lost_connection_everything_may_have_changed(
    clean_engine: AsyncEngine, received: Received
) -> None:
    async with clean_engine.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"
        await connection.execute(text(ended), {"name": "microcred-notifications"})

    assert await _next(received) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the option has another name elsewhere")
async def test_a_server_that_no_longer_answers_is_noticed(received: Received) -> None:
    """Otherwise the listener would wait for two hours, the default of the operating system."""
    assert received.empty()

    idle_s = {each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) for each in _open_connections()}

    assert KEEPALIVE["keepalives_idle"] in idle_s


def _open_connections() -> Iterator[socket.socket]:
    """Yield this process's TCP connections."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as found:
            if found.family == socket.AF_INET and found.type == socket.SOCK_STREAM:
                found.getpeername()
                yield found
