"""Reading a page of a list costs little, however many assessments there are and however rare the wanted ones are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import create_engine
from persistence.queries.assessments import Queries
from persistence.queries.views import AccessScope, AssessmentFilter
from persistence.queries.work import WorkQueries, WorkView
from tests.persistence.page_cost import BLOCKS, PAGE, blocks_read
from tests.support.databases import Databases, settings_of

LARGE, SMALL = UUID(int=1), UUID(int=2)
START = datetime(2025, 1, 1, tzinfo=UTC)
ADVISOR = AccessScope(organization_id=LARGE, held=True)
API_KEY = AccessScope(organization_id=LARGE)
LEARNER = AccessScope(organization_id=LARGE, user_id=UUID(int=1_000_002))

_PEOPLE = """
INSERT INTO organizations (id, name)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'Partner ' || n FROM generate_series(1, 2) n;
INSERT INTO users (id, organization_id, email, role, name)
SELECT lpad(to_hex(1000000 + n), 32, '0')::uuid, lpad(to_hex(1 + n % 2), 32, '0')::uuid, n || '@partner.example',
  'student', 'Learner ' || n
FROM generate_series(1, 1000) n;
"""
# Assessments start one second apart. Nine of ten belong to the large organization. Rare ones are old, so that a scan
# from the newest would find them last.
_ASSESSMENTS = """
INSERT INTO assessments
  (id, user_id, organization_id, role_id, status, revision, degraded, needs_review, failure_reason, expires_at,
   created_at, released_revision)
SELECT gen_random_uuid(), lpad(to_hex(1000000 + 1 + n %% 1000), 32, '0')::uuid,
  lpad(to_hex(CASE WHEN n %% 10 = 0 THEN 2 ELSE 1 END), 32, '0')::uuid,
  CASE WHEN rare THEN roles[1] ELSE roles[2 + n %% (cardinality(roles) - 1)] END,
  CASE WHEN rare THEN 'failed' ELSE 'completed' END, CASE WHEN rare THEN 0 ELSE 1 END, rare, rare,
  CASE WHEN rare THEN 'expired' END, now(), %(start)s + n * interval '1 second',
  CASE WHEN NOT rare AND n < %(rows)s / 50 AND n %% 9 = 0 THEN 0 END
FROM generate_series(1, %(rows)s) n, LATERAL (SELECT n < %(rows)s / 50 AND n %% 7 = 0) AS odd(rare),
  (SELECT array_agg(id ORDER BY id) FROM role_catalog) AS known(roles)
"""
# Every tenth student of the large organization is in the cohort. Those of the old cohort stopped long ago: only their
# oldest assessments are left.
_COHORTS = """
INSERT INTO cohorts (id, organization_id, name)
SELECT lpad(to_hex(n), 32, '0')::uuid, lpad('1', 32, '0')::uuid, 'Cohort ' || n FROM generate_series(1, 2) n;
INSERT INTO cohort_members (cohort_id, user_id)
SELECT lpad(to_hex(1 + n / 10 %% 2), 32, '0')::uuid, lpad(to_hex(1000000 + n), 32, '0')::uuid
FROM generate_series(10, 1000, 10) n;
DELETE FROM assessments USING cohort_members AS member
WHERE member.cohort_id = lpad('2', 32, '0')::uuid AND member.user_id = assessments.user_id
  AND assessments.created_at > %(start)s + %(rows)s / 20 * interval '1 second';
"""
COHORT, OLD_COHORT = UUID(int=1), UUID(int=2)


@pytest.fixture(
    scope="module", params=[60_000, pytest.param(1_000_000, marks=[pytest.mark.load, pytest.mark.timeout(900)])]
)
async def crowded(request: pytest.FixtureRequest, databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    with databases.new(f"{worker_name}_crowded") as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(_PEOPLE)
            connection.execute(_ASSESSMENTS, {"start": START, "rows": request.param})
            psycopg.ClientCursor(connection).execute(_COHORTS, {"start": START, "rows": request.param})
            connection.execute("VACUUM ANALYZE assessments, users, essay_scores, cohort_members")
        engine = create_engine(settings_of(url))
        yield engine
        await engine.dispose()


async def rare_role(engine: AsyncEngine) -> UUID:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT id FROM role_catalog ORDER BY id LIMIT 1"))
    return UUID(str(found.scalar_one()))


MEMBERS = 50
COHORTS = {COHORT: MEMBERS * PAGE, OLD_COHORT: 0}
"""Blocks in addition to those of any page: of each member, at most a page of assessments is read. Members of the old
cohort have only a few."""

STAFF_BLOCKS = BLOCKS + 10 * PAGE
"""For each row also its student, its role and its essays' scores."""


async def read_for_staff(engine: AsyncEngine, found: AssessmentFilter) -> tuple[int, int]:
    return await blocks_read(engine, lambda: Queries(engine).assessments_for_staff(ADVISOR, found, PAGE))


async def read(engine: AsyncEngine, viewer: AccessScope, found: AssessmentFilter) -> tuple[int, int]:
    return await blocks_read(engine, lambda: Queries(engine).assessments(viewer, found, PAGE))


FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "failed": {"status": "failed"},
    "degraded": {"degraded": True},
    "to be reviewed": {"needs_review": True},
    "released": {"released": True},
    "awaiting a result": {"status": "awaiting_async"},
    "failed and degraded": {"status": "failed", "degraded": True},
    "of a learner": {"user_id": LEARNER.user_id},
    "since an hour": {"since": START + timedelta(hours=1)},
    "after a page": {"after": (START + timedelta(hours=2), UUID(int=0))},
}


@pytest.mark.parametrize(
    "found",
    [*(each for name, each in FILTERS.items() if name != "awaiting a result"), {"q": "learner"}],
    ids=str,
)
async def test_a_page_with_students_reads_few_blocks(crowded: AsyncEngine, found: dict[str, Any]) -> None:
    rows, blocks = await read_for_staff(crowded, AssessmentFilter(**found))

    assert rows > 0
    assert blocks <= STAFF_BLOCKS


@pytest.mark.parametrize(("viewer", "name"), [*product((ADVISOR, API_KEY, LEARNER), FILTERS)])
async def test_a_page_reads_few_blocks(crowded: AsyncEngine, viewer: AccessScope, name: str) -> None:
    rows, blocks = await read(crowded, viewer, AssessmentFilter(**FILTERS[name]))

    assert rows > 0 or viewer is LEARNER or (viewer is ADVISOR and name == "awaiting a result")
    assert blocks <= BLOCKS


@pytest.mark.parametrize(("viewer", "found"), [(ADVISOR, True), (API_KEY, False), (LEARNER, False)])
async def test_a_page_of_held_results_reads_few_blocks(
    crowded: AsyncEngine, viewer: AccessScope, *, found: bool
) -> None:
    rows, blocks = await read(crowded, viewer, AssessmentFilter(released=False))

    assert (rows > 0) is found
    assert blocks <= BLOCKS


async def test_a_page_of_a_rare_role_reads_few_blocks(crowded: AsyncEngine) -> None:
    rows, blocks = await read(crowded, ADVISOR, AssessmentFilter(role_id=await rare_role(crowded)))

    assert rows > 0
    assert blocks <= BLOCKS


@pytest.mark.parametrize("cohort_id", COHORTS)
@pytest.mark.parametrize("found", [{}, {"status": "completed"}, {"released": True}, {"q": "learner"}], ids=str)
async def test_a_page_of_a_cohort_reads_few_blocks(
    crowded: AsyncEngine, cohort_id: UUID, found: dict[str, Any]
) -> None:
    rows, blocks = await read_for_staff(crowded, AssessmentFilter(cohort_id=cohort_id, **found))

    assert rows == PAGE
    assert blocks <= STAFF_BLOCKS + COHORTS[cohort_id]


async def test_nothing_found_reads_few_blocks(crowded: AsyncEngine) -> None:
    rows, blocks = await read(crowded, ADVISOR, AssessmentFilter(status="in_progress", degraded=False))

    assert rows == 0
    assert blocks <= BLOCKS


async def test_counting_the_work_that_waits_reads_few_blocks(crowded: AsyncEngine) -> None:
    async def counted() -> list[WorkView]:
        return [await WorkQueries(crowded).waiting()]

    _, blocks = await blocks_read(crowded, counted)

    assert blocks <= BLOCKS
