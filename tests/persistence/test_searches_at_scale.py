"""A search for assessments of a student reads few blocks, however many users other organizations have."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.queries.assessments import Queries
from persistence.queries.views import AccessScope, AssessmentFilter
from tests.persistence.page_cost import BLOCKS, PAGE, blocks_read
from tests.support.databases import Databases

USERS = 1000
"""The users of the viewer's organization. The others belong to another one."""
VIEWER = AccessScope(organization_id=UUID(int=2), held=True)
_ROWS = """
INSERT INTO organizations (id, name)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'Partner ' || n FROM generate_series(1, 2) n;
INSERT INTO users (id, organization_id, email, role, name)
SELECT gen_random_uuid(), lpad(to_hex(1 + (n <= 1000)::int), 32, '0')::uuid, 'student' || n || '@partner.example',
  'student', 'Ada Learner ' || n
FROM generate_series(1, 150000) n;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, expires_at)
SELECT gen_random_uuid(), id, organization_id, (SELECT id FROM role_catalog ORDER BY id LIMIT 1), 'in_progress', now()
FROM users;
"""


@pytest.fixture(scope="module")
async def crowded(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    async with databases.filled(f"{worker_name}_searches", _ROWS, {}) as engine:
        yield engine


@pytest.mark.parametrize(
    ("text", "found"), [("ada", PAGE), ("learner", PAGE), ("l", PAGE), ("@", 0), ("Learner 5000", 0)]
)
async def test_a_search_reads_few_blocks(crowded: AsyncEngine, text: str, found: int) -> None:
    wanted = AssessmentFilter(q=text)

    rows, blocks = await blocks_read(crowded, lambda: Queries(crowded).assessments_for_staff(VIEWER, wanted, PAGE))

    assert rows == found
    assert blocks <= BLOCKS + USERS + 10 * rows  # for each row also its student, its role and its essays' scores
