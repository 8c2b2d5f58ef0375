"""Sweeps cost as little with many open assessments and pending deliveries as with none: they read only stuck rows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.database import Repositories
from persistence.database import create_engine
from persistence.unit_of_work import SqlDatabase
from tests.persistence.page_cost import blocks_read
from tests.support.databases import Databases, settings_of

LARGE = UUID(int=1)
ROLES = 4
BLOCKS = 40
"""A sweep of an empty table reads about ten blocks, and a few stuck rows add some each."""

# Every assessment is open and every delivery waits for its next attempt, but for three stuck ones of each kind.
_CROWD = """
INSERT INTO organizations (id, name) VALUES (%(large)s, 'Partner');
INSERT INTO users (id, organization_id, email, role)
SELECT gen_random_uuid(), %(large)s, n || '@partner.example', 'student'
FROM generate_series(1, %(rows)s / %(roles)s) n;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, expires_at)
SELECT gen_random_uuid(), users.id, %(large)s, role.id, 'in_progress', now() + interval '1 day'
FROM users, (SELECT id FROM role_catalog ORDER BY id LIMIT %(roles)s) AS role;
WITH stuck AS (
  SELECT id, row_number() OVER (ORDER BY id) AS n FROM (SELECT id FROM assessments ORDER BY id DESC LIMIT 9) AS last
)
UPDATE assessments SET
  status = CASE WHEN n <= 6 THEN 'awaiting_async' ELSE 'in_progress' END, submitted_at = now() - interval '1 hour',
  claimed_at = CASE WHEN n <= 3 THEN now() - interval '1 hour' END, expires_at = now() - interval '1 hour'
FROM stuck WHERE assessments.id = stuck.id;
INSERT INTO webhook_endpoints (id, organization_id, url, event_types, secret)
VALUES (%(large)s, %(large)s, 'https://partner.example/', '{assessment.completed}', '');
ALTER TABLE webhook_deliveries DISABLE TRIGGER USER;
WITH events AS (
  INSERT INTO webhook_events (id, organization_id, event_type, payload, body, status)
  SELECT gen_random_uuid(), %(large)s, 'assessment.completed', '{}', '', 'pending' FROM generate_series(1, %(rows)s) n
  RETURNING id
)
INSERT INTO webhook_deliveries (id, organization_id, event_id, endpoint_id, n, status, next_attempt_at)
SELECT gen_random_uuid(), %(large)s, id, %(large)s, 1, 'pending',
  now() + CASE WHEN row_number() OVER () <= 3 THEN interval '-1 hour' ELSE interval '1 hour' END
FROM events;
"""

Read = Callable[[Repositories], Awaitable[Sequence[object]]]

READS: dict[str, Read] = {
    "unclaimed": lambda uow: uow.assessments.unclaimed(older_than_s=15, after=None, limit=200),
    "claimed": lambda uow: uow.assessments.claimed(older_than_s=60, after=None, limit=200),
    "expiry": lambda uow: uow.assessments.due(after=None, limit=200),
    "healing": lambda uow: uow.assessments.healing(after=None, limit=200),
    "deliveries": lambda uow: uow.deliveries.overdue(late_s=15, after=None, limit=200),
}
STUCK = dict.fromkeys(READS, 3) | {"healing": 0}


@pytest.fixture(
    scope="module", params=[40_000, pytest.param(1_000_000, marks=[pytest.mark.load, pytest.mark.timeout(900)])]
)
async def crowded(request: pytest.FixtureRequest, databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    with databases.new(f"{worker_name}_open") as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            values = {"large": LARGE, "rows": request.param, "roles": ROLES}
            for statement in _CROWD.split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode(), {name: values[name] for name in values if name in statement})
            connection.execute("VACUUM ANALYZE assessments, users, webhook_deliveries")
        engine = create_engine(settings_of(url))
        yield engine
        await engine.dispose()


@pytest.mark.parametrize("concern", READS)
async def test_a_sweep_reads_only_stuck_rows(crowded: AsyncEngine, concern: str) -> None:
    async def read() -> Sequence[object]:
        async with SqlDatabase(crowded).statement() as uow:
            return await READS[concern](uow)

    rows, blocks = await blocks_read(crowded, read)

    assert rows == STUCK[concern]
    assert blocks <= BLOCKS
