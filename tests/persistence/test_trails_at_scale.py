"""Pages of the audit trail, the delivery log and the list of users cost little, as in `test_lists_at_scale`."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.queries.audit import AuditColumn, AuditFilter, AuditQueries
from persistence.queries.cohorts import CohortQueries
from persistence.queries.people import PeopleQueries
from persistence.queries.people_views import PeopleScope, UserFilter
from persistence.queries.views import AccessScope
from persistence.queries.webhook_views import DeliveryFilter
from persistence.queries.webhooks import WebhookQueries
from tests.persistence.page_cost import PAGE, blocks_read
from tests.support.databases import Databases

BLOCKS = 600
"""For each row of a page about five blocks: the delivery, its event and the index scan to the event."""
LARGE = UUID(int=1)
SOMETHING, SOMEBODY = UUID(int=7), UUID(int=8)
START = datetime(2025, 1, 1, tzinfo=UTC)

# One organization has all rows. Rare ones are old, so that a scan from the newest would find them last.
_CROWD = """
INSERT INTO organizations (id, name) VALUES (%(large)s, 'Partner');
INSERT INTO users (id, organization_id, email, name, external_id, role, status, created_at)
SELECT gen_random_uuid(), %(large)s, n || '@partner.example',
  CASE WHEN n < 20 THEN 'Zoë Quux' ELSE 'Learner ' || n END, n,
  CASE WHEN n < 20 THEN 'admin' ELSE 'student' END, CASE WHEN n < 20 THEN 'disabled' ELSE 'active' END,
  %(start)s + n * interval '1 second'
FROM generate_series(1, %(rows)s) n;
INSERT INTO cohorts (id, organization_id, name) VALUES (%(something)s, %(large)s, 'Spring'),
  (%(somebody)s, %(large)s, 'Autumn');
INSERT INTO cohort_members (cohort_id, user_id)
SELECT CASE WHEN n < 20 THEN %(something)s::uuid ELSE %(somebody)s::uuid END, id
FROM (SELECT id, external_id::int AS n FROM users) AS people WHERE n < 20 OR n %% 10 = 0;
ALTER TABLE audit_logs DISABLE TRIGGER USER;
INSERT INTO audit_logs (id, organization_id, actor_id, action, resource_type, resource_id, created_at)
SELECT gen_random_uuid(), %(large)s, CASE WHEN n < 20 THEN %(somebody)s ELSE gen_random_uuid() END,
  CASE WHEN n < 20 THEN 'user.erased' ELSE 'assessment.completed' END,
  CASE WHEN n < 20 THEN 'user' ELSE 'assessment' END,
  CASE WHEN n < 20 THEN %(something)s ELSE gen_random_uuid() END, %(start)s + n * interval '1 second'
FROM generate_series(1, %(rows)s) n;
INSERT INTO webhook_endpoints (id, organization_id, url, event_types, secret)
SELECT id, %(large)s, 'https://partner.example/', '{assessment.completed}', ''
FROM (VALUES (%(something)s::uuid), (%(somebody)s::uuid)) AS endpoints (id);
ALTER TABLE webhook_deliveries DISABLE TRIGGER USER;
WITH events AS (
  INSERT INTO webhook_events (id, organization_id, event_type, payload, body, status, created_at)
  SELECT gen_random_uuid(), %(large)s, CASE WHEN n < 20 THEN 'assessment.failed' ELSE 'assessment.completed' END, '{}',
    '', 'delivered', %(start)s + n * interval '1 second'
  FROM generate_series(1, %(rows)s) n
  RETURNING id, event_type = 'assessment.failed' AS rare, created_at
)
INSERT INTO webhook_deliveries (id, organization_id, event_id, endpoint_id, n, status, created_at)
SELECT gen_random_uuid(), %(large)s, id, CASE WHEN rare THEN %(somebody)s ELSE %(something)s END, 1,
  CASE WHEN rare THEN 'dead_letter' ELSE 'delivered' END, created_at
FROM events;
"""


@pytest.fixture(
    scope="module", params=[50_000, pytest.param(1_000_000, marks=[pytest.mark.load, pytest.mark.timeout(900)])]
)
async def crowded(request: pytest.FixtureRequest, databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    values = {"large": LARGE, "something": SOMETHING, "somebody": SOMEBODY, "start": START, "rows": request.param}
    async with databases.filled(f"{worker_name}_trails", _CROWD, values) as engine:
        yield engine


@pytest.mark.parametrize("cohort_id", [SOMETHING, SOMEBODY])
async def test_a_page_of_members_reads_few_blocks(crowded: AsyncEngine, cohort_id: UUID) -> None:
    rows, blocks = await blocks_read(crowded, lambda: CohortQueries(crowded).members(cohort_id, None, PAGE))
    assert rows > 0
    assert blocks <= BLOCKS


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"action": "user.erased"},
        {"resource_type": "user"},
        {"resource_id": SOMETHING},
        {"actor_id": SOMEBODY},
        {"action": "nothing.such"},
    ],
    ids=str,
)
async def test_a_page_of_the_audit_trail_reads_few_blocks(crowded: AsyncEngine, found: dict[str, Any]) -> None:
    _, blocks = await blocks_read(crowded, lambda: AuditQueries(crowded).logs(LARGE, AuditFilter(**found), PAGE))
    assert blocks <= BLOCKS


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (AuditColumn.ACTION, ["assessment.completed", "user.erased"]),
        (AuditColumn.RESOURCE_TYPE, ["assessment", "user"]),
    ],
)
async def test_the_known_values_of_the_audit_trail_are_read_from_few_blocks(
    crowded: AsyncEngine, column: AuditColumn, values: list[str]
) -> None:
    found = await AuditQueries(crowded).known(LARGE, column)
    _, blocks = await blocks_read(crowded, lambda: AuditQueries(crowded).known(LARGE, column))
    assert found == values
    assert blocks <= BLOCKS


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"status": "dead_letter"},
        {"event_type": "assessment.failed"},
        {"endpoint_id": SOMEBODY},
        {"event_id": SOMETHING},
    ],
    ids=str,
)
async def test_a_page_of_the_delivery_log_reads_few_blocks(crowded: AsyncEngine, found: dict[str, Any]) -> None:
    viewer, log = AccessScope(organization_id=LARGE), WebhookQueries(crowded)
    _, blocks = await blocks_read(crowded, lambda: log.deliveries(viewer, DeliveryFilter(**found), PAGE))
    assert blocks <= BLOCKS


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"role": "admin"},
        {"status": "disabled"},
        {"email": "7@partner.example"},
        {"external_id": "7"},
        {"q": "quux"},
        {"q": "zo"},
        {"q": "learner"},
        # The planner estimates that a text in a sampled name matches 1 % of all names. No name contains this one.
        {"q": "77777"},
        {"cohort_id": SOMETHING},
    ],
    ids=str,
)
async def test_a_page_of_people_reads_few_blocks(crowded: AsyncEngine, found: dict[str, Any]) -> None:
    viewer, people = PeopleScope(organization_id=LARGE), PeopleQueries(crowded)
    _, blocks = await blocks_read(crowded, lambda: people.users(viewer, UserFilter(**found), PAGE))
    assert blocks <= BLOCKS
