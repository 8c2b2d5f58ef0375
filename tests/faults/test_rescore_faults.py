"""A re-score whose workers are killed ends like one without kills, and publishes each result once."""

import asyncio
import time
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

pytestmark = [pytest.mark.load, pytest.mark.timeout(1800)]

ASSESSMENTS = 210
"""Several batches."""
KILLS = 2
BETWEEN_KILLS_S = 4.0
WITHIN_S = 240.0


async def _prepare(engine: AsyncEngine, organization_id: UUID) -> AskedRole:
    """Insert completed assessments, then correct a key."""
    async with sessions(engine)() as session:
        index = await an_index(session)
        role = await a_role(session)
        await session.commit()
    await copies(engine, role, organization_id, index, ASSESSMENTS - 1)
    async with sessions(engine)() as session:
        await wrong_choice(session, role.questions["single"])
        await session.commit()
    await engine.dispose()
    return role


def prepared(deployment: Deployment) -> AskedRole:
    [(organization_id,)] = deployment.rows("SELECT organization_id FROM users WHERE email = %s", ADMIN)
    engine = create_engine(settings_of(deployment.environment["DATABASE_URL"]))
    return asyncio.run(_prepare(engine, organization_id))


def requested(admin: httpx.Client, role: AskedRole) -> str:
    body = {"role_id": str(role.id), "scope": "rules", "reason": "A corrected key"}
    return str(admin.post("/rescores", json=body).raise_for_status().json()["rescore_id"])


def rest(deployment: Deployment, rescore_id: str) -> None:
    """Wait until the re-score has no work left."""
    query = "SELECT status FROM rescores WHERE id = %s"
    eventually(lambda: deployment.rows(query, rescore_id) == [("computed",)], WITHIN_S)


def kill_workers(deployment: Deployment) -> None:
    for _ in range(KILLS):
        time.sleep(BETWEEN_KILLS_S)
        deployment.worker.kill()
        deployment.start_worker()


def report(deployment: Deployment, rescore_id: str) -> list[tuple[Any, ...]]:
    return deployment.rows(
        "SELECT assessment_id, outcome, old_points, new_points, difference FROM rescore_differences"
        " WHERE rescore_id = %s ORDER BY assessment_id",
        rescore_id,
    )


def test_kills_change_neither_the_report_nor_the_published_results(deployment: Deployment) -> None:
    role, admin = prepared(deployment), deployment.log_in(ADMIN)
    calm = requested(admin, role)
    rest(deployment, calm)

    disturbed = requested(admin, role)
    kill_workers(deployment)
    rest(deployment, disturbed)

    expected = report(deployment, calm)
    assert (len(expected), {row[1] for row in expected}) == (ASSESSMENTS, {"changed"})
    assert report(deployment, disturbed) == expected
    assert deployment.rows("SELECT done, total FROM rescores WHERE id = %s", disturbed) == [(ASSESSMENTS, ASSESSMENTS)]

    admin.post(f"/rescores/{disturbed}/apply", json={}).raise_for_status()
    kill_workers(deployment)
    rest(deployment, disturbed)

    assert deployment.rows(
        "SELECT published.revision, count(*) FROM result_revisions AS published"
        " JOIN assessments ON assessments.id = assessment_id WHERE role_id = %s GROUP BY 1 ORDER BY 1",
        role.id,
    ) == [(1, ASSESSMENTS), (2, ASSESSMENTS)]
    assert deployment.rows(
        "SELECT count(*), count(DISTINCT assessment_id) FROM webhook_events"
        " JOIN assessments ON assessments.id = assessment_id"
        " WHERE role_id = %s AND event_type = 'assessment.updated'",
        role.id,
    ) == [(ASSESSMENTS, ASSESSMENTS)]
    assert deployment.rows(
        "SELECT status, applied_revision, count(*) FROM rescore_differences WHERE rescore_id = %s GROUP BY 1, 2",
        disturbed,
    ) == [("applied", 2, ASSESSMENTS)]
