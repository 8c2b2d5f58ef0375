"""A re-score whose workers are killed ends like one without kills, and publishes each result once."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import create_engine
from persistence.unit_of_work import sessions
from tests.activities.builders import an_index
from tests.benchmarks.rescoring import copies
from tests.support.databases import settings_of
from tests.support.deployment import ADMIN, Deployment, eventually
from tests.support.rescores import AskedRole, a_role, wrong_choice

pytestmark = pytest.mark.timeout(1800)

WITHIN_S = 900.0


@dataclass(frozen=True)
class Size:
    """Kills happen when at least `step` more assessments are done, and at least `every_s` after the last kill."""

    assessments: int
    kills: int
    """Of the computation. The application is killed once less."""
    step: int
    every_s: float


SMALL = Size(assessments=300, kills=2, step=1, every_s=0.0)
LARGE = Size(assessments=10_000, kills=6, step=100, every_s=20.0)


async def _prepare(engine: AsyncEngine, organization_id: UUID, assessments: int) -> AskedRole:
    """Insert completed assessments, then correct a key."""
    async with sessions(engine)() as session:
        index = await an_index(session)
        role = await a_role(session)
        await session.commit()
    await copies(engine, role, organization_id, index, assessments - 1)
    async with sessions(engine)() as session:
        await wrong_choice(session, role.questions["single"])
        await session.commit()
    await engine.dispose()
    return role


def prepared(deployment: Deployment, assessments: int) -> AskedRole:
    [(organization_id,)] = deployment.rows("SELECT organization_id FROM users WHERE email = %s", ADMIN)
    engine = create_engine(settings_of(deployment.environment["DATABASE_URL"]))
    return asyncio.run(_prepare(engine, organization_id, assessments))


def requested(admin: httpx.Client, role: AskedRole) -> str:
    body = {"role_id": str(role.id), "scope": "rules", "reason": "A corrected key"}
    return str(admin.post("/rescores", json=body).raise_for_status().json()["rescore_id"])


def rest(deployment: Deployment, rescore_id: str) -> None:
    """Wait until the re-score has no work left."""
    query = "SELECT status FROM rescores WHERE id = %s"
    eventually(lambda: deployment.rows(query, rescore_id) == [("computed",)], WITHIN_S)


def computed(deployment: Deployment, rescore_id: str) -> int:
    [(done,)] = deployment.rows("SELECT done FROM rescores WHERE id = %s", rescore_id)
    return int(done)


def applied(deployment: Deployment, rescore_id: str) -> int:
    query = "SELECT count(*) FROM rescore_differences WHERE rescore_id = %s AND status = 'applied'"
    [(done,)] = deployment.rows(query, rescore_id)
    return int(done)


def reach(done: Callable[[], int], least: int) -> None:
    eventually(lambda: done() >= least, WITHIN_S)


def kill_at_work(deployment: Deployment, done: Callable[[], int], size: Size, kills: int) -> None:
    """Kill the worker while it works, each time after more assessments are done than at the last kill."""
    for _ in range(kills):
        least = min(done() + size.step, size.assessments)
        time.sleep(size.every_s)
        reach(done, least)
        deployment.worker.kill()
        deployment.start_worker()


def report(deployment: Deployment, rescore_id: str) -> list[tuple[Any, ...]]:
    return deployment.rows(
        "SELECT assessment_id, outcome, old_points, new_points, difference FROM rescore_differences"
        " WHERE rescore_id = %s ORDER BY assessment_id",
        rescore_id,
    )


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, marks=pytest.mark.faults, id="small"),
        pytest.param(LARGE, marks=pytest.mark.load, id="large"),
    ],
)
def test_kills_change_neither_the_report_nor_the_published_results(deployment: Deployment, size: Size) -> None:
    role, admin = prepared(deployment, size.assessments), deployment.log_in(ADMIN)
    calm = requested(admin, role)
    rest(deployment, calm)

    disturbed = requested(admin, role)
    kill_at_work(deployment, lambda: computed(deployment, disturbed), size, size.kills)
    rest(deployment, disturbed)

    expected = report(deployment, calm)
    assert (len(expected), {row[1] for row in expected}) == (size.assessments, {"changed"})
    assert report(deployment, disturbed) == expected
    assert deployment.rows("SELECT done, total FROM rescores WHERE id = %s", disturbed) == [
        (size.assessments, size.assessments)
    ]

    admin.post(f"/rescores/{disturbed}/apply", json={}).raise_for_status()
    kill_at_work(deployment, lambda: applied(deployment, disturbed), size, size.kills - 1)
    rest(deployment, disturbed)

    assert deployment.rows(
        "SELECT published.revision, count(*) FROM result_revisions AS published"
        " JOIN assessments ON assessments.id = assessment_id WHERE role_id = %s GROUP BY 1 ORDER BY 1",
        role.id,
    ) == [(1, size.assessments), (2, size.assessments)]
    assert deployment.rows(
        "SELECT count(*), count(DISTINCT assessment_id) FROM webhook_events"
        " JOIN assessments ON assessments.id = assessment_id"
        " WHERE role_id = %s AND event_type = 'assessment.updated'",
        role.id,
    ) == [(size.assessments, size.assessments)]
    assert deployment.rows(
        "SELECT status, applied_revision, count(*) FROM rescore_differences WHERE rescore_id = %s GROUP BY 1, 2",
        disturbed,
    ) == [("applied", 2, size.assessments)]
