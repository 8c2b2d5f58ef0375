"""`python -m tests.benchmarks.releases`: measure the release of N held results in one request.

On a real PostgreSQL, with rows copied by SQL from one published assessment. No partner subscribes to events, so no
delivery is started. Meanwhile another client counts the held results, which is the progress that an advisor sees. The
floor is the same number of bare transactions, each of which locks and updates one assessment.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from persistence.content.loader import load_content
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.unit_of_work import sessions
from tests.activities.builders import an_index
from tests.benchmarks import report
from tests.benchmarks.rescoring import copies
from tests.benchmarks.review_queue import ADVISOR, ORGANIZATION, api_client
from tests.support.databases import CONTENT, settings_of
from tests.support.rescores import AskedRole, a_role

N: Final = int(os.environ.get("N", "1000"))
POLL_S: Final = 0.25

_STAFF: Final = text("""
WITH college AS (INSERT INTO organizations (id, name) VALUES (:organization, 'A college') RETURNING id)
INSERT INTO users (id, organization_id, email, role)
SELECT :advisor, id, 'advisor@college.example', 'advisor' FROM college
""")
_HOLD: Final = (
    "UPDATE assessments SET released_revision = 0, released_at = NULL WHERE revision > 0",
    "UPDATE result_revisions SET held = true",
    "DELETE FROM webhook_events",  # the release writes them
)


def main() -> None:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        EmbeddedPostgres(Path(directory), free_port()) as server,
    ):
        upgrade(settings_of(server.url))
        asyncio.run(_main(server.url))


async def _main(url: str) -> None:
    engine = create_engine(settings_of(url))
    await load_content(engine, CONTENT)
    role = await _held_results(engine)
    bare_s = await _bare_updates(engine)
    seen: list[int] = []
    async with api_client(url) as client:
        watch = asyncio.create_task(_watch(engine, seen))
        started = time.perf_counter()
        answer = await client.post("/assessments/releases", json={"filter": {"role_id": str(role.id)}}, timeout=300)
        took_s = time.perf_counter() - started
        watch.cancel()
    await engine.dispose()
    released = answer.raise_for_status().json()["released"]
    assert len(released) == N, answer.text
    _print(bare_s, took_s, seen)


async def _held_results(engine: AsyncEngine) -> AskedRole:
    async with sessions(engine)() as session:
        index = await an_index(session)
        role = await a_role(session)
        await session.execute(_STAFF, {"organization": ORGANIZATION, "advisor": ADVISOR})
        await session.commit()
    await copies(engine, role, ORGANIZATION, index, N - 1)
    async with engine.begin() as connection:
        for statement in _HOLD:
            await connection.execute(text(statement))
        await connection.execute(text("ANALYZE"))
    return role


async def _bare_updates(engine: AsyncEngine) -> float:
    """Return the seconds for one locking transaction for each result, four at a time, as the request has them."""
    async with engine.connect() as connection:
        ids = list(await connection.scalars(text("SELECT id FROM assessments WHERE revision > 0")))
    slots = asyncio.Semaphore(4)

    async def touch(assessment_id: UUID) -> None:
        async with slots, engine.begin() as connection:
            wanted = {"id": assessment_id}
            await connection.execute(text("SELECT FROM assessments WHERE id = :id FOR UPDATE"), wanted)
            await connection.execute(text("UPDATE assessments SET updated_at = now() WHERE id = :id"), wanted)

    started = time.perf_counter()
    await asyncio.gather(*map(touch, ids))
    return time.perf_counter() - started


async def _watch(engine: AsyncEngine, seen: list[int]) -> None:
    """Note the number of held results that other readers see, until cancelled."""
    held = text("SELECT count(*) FROM assessments WHERE released_revision IS NOT NULL")
    while True:
        async with engine.connect() as connection:
            seen.append((await connection.execute(held)).scalar_one())
        await asyncio.sleep(POLL_S)


def _print(bare_s: float, took_s: float, seen: list[int]) -> None:
    steps = len(set(seen))
    report.say(f"{N} held results released by one request; readers saw {steps} different numbers of held results")
    rows = [("bare transactions (floor)", bare_s, 1.0), ("release", took_s, took_s / bare_s)]
    report.say(report.table(("request", "seconds", "/ floor"), rows))
    report.write("bench-releases", {"results": N, "bare_s": bare_s, "release_s": took_s, "steps": steps})


if __name__ == "__main__":
    main()
