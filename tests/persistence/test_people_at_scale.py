"""A page of people reads few blocks in every order, wherever it is in the list."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.queries.people import PeopleQueries
from persistence.queries.people_order import PeopleKey, PeopleOrder
from persistence.queries.people_views import PeopleScope, UserFilter
from tests.persistence.page_cost import BLOCKS, PAGE, blocks_read
from tests.support.databases import Databases

ORGANIZATION = UUID(int=1)
PEOPLE = 60_000
VIEWER = PeopleScope(organization_id=ORGANIZATION)
_PEOPLE = """
INSERT INTO organizations (id, name)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'Partner ' || n FROM generate_series(1, 2) n;
INSERT INTO users (id, organization_id, email, role, name, created_at, last_sign_in_at)
SELECT gen_random_uuid(), lpad(to_hex(1 + n %% 2), 32, '0')::uuid, n || '@partner.example', 'student',
  CASE WHEN n %% 3 > 0 THEN 'Learner ' || n * 7919 %% 60000 END, '2025-01-01'::timestamptz + n * interval '1 second',
  CASE WHEN n %% 5 > 0 THEN '2025-02-01'::timestamptz + n * 7919 %% 60000 * interval '1 second' END
FROM generate_series(1, 60000) n;
"""


@pytest.fixture(scope="module")
async def crowded(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    async with databases.filled(f"{worker_name}_people", _PEOPLE, {}) as engine:
        yield engine


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("key", PeopleKey)
async def test_a_page_in_the_middle_reads_few_blocks(crowded: AsyncEngine, key: PeopleKey, *, descending: bool) -> None:
    order, people = PeopleOrder(key, descending=descending), PeopleQueries(crowded)
    middle = {PeopleKey.NAME: "Learner 4", PeopleKey.ROLE: "student", PeopleKey.STATUS: "active"}
    time = datetime(2025, 2, 1, 6, tzinfo=UTC) if key is PeopleKey.LAST_SIGN_IN else datetime(2025, 1, 1, 6, tzinfo=UTC)
    after = (middle.get(key, time), datetime(2025, 1, 1, 6, tzinfo=UTC), UUID(int=0))

    rows, blocks = await blocks_read(crowded, lambda: people.sorted_users(VIEWER, UserFilter(), order, after, PAGE))

    assert rows == PAGE
    assert blocks <= BLOCKS
