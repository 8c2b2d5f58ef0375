"""A repair of the review queue reads one page, however many results wait for a reviewer."""

from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.sweeps import Cursor
from persistence.unit_of_work import SqlDatabase
from tests.persistence.plans import explained, handled, nodes
from tests.support.builders import an_assessment
from tests.support.statements import recorded

WAITING = 3_000
PAGE = 50
ROWS_PER_RESULT = 10
"""Rows that all steps of the plans of a page may handle for each result."""

# Every result has one doubtful essay with its row in the queue.
_WAITING = """
CREATE TEMPORARY TABLE waiting AS
  SELECT gen_random_uuid() AS id, gen_random_uuid() AS user_id, gen_random_uuid() AS snapshot_id
  FROM generate_series(1, %(waiting)s);
INSERT INTO users (id, organization_id, email, role)
  SELECT user_id, %(organization)s, user_id || '@example.org', 'student' FROM waiting;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, needs_review, expires_at)
  SELECT id, user_id, %(organization)s, %(role)s, 'completed', 1, true, now() FROM waiting;
INSERT INTO assessment_question_snapshots
  SELECT (jsonb_populate_record(asked.copied, jsonb_build_object('id', snapshot_id, 'assessment_id', waiting.id))).*
  FROM waiting, (SELECT each AS copied FROM assessment_question_snapshots AS each WHERE kind = 'text' LIMIT 1) AS asked;
INSERT INTO review_items (question_snapshot_id, assessment_id, organization_id, user_id, role_id, question_id, reasons,
    waiting, revision, submitted_at)
  SELECT snapshot_id, waiting.id, %(organization)s, user_id, %(role)s, question_id, '{low_confidence}', true, 1, now()
  FROM waiting JOIN assessment_question_snapshots AS asked ON asked.id = snapshot_id
"""


@pytest.fixture
async def queue(clean_engine: AsyncEngine, clean_database: str) -> AsyncEngine:
    async with AsyncSession(clean_engine) as session:
        assessment = await an_assessment(session)
        await session.commit()
    values = {"waiting": WAITING, "organization": assessment.organization_id, "role": assessment.role_id}
    with psycopg.connect(clean_database.replace("+psycopg", ""), autocommit=True) as connection:
        with psycopg.ClientCursor(connection) as cursor:
            cursor.execute(_WAITING, values)
        connection.execute("VACUUM ANALYZE")
    return clean_engine


async def test_a_page_of_the_repair_reads_no_other_results(queue: AsyncEngine) -> None:
    pages: list[list[tuple[str, Any]]] = []
    after: Cursor | None = None
    corrected = 0
    async with SqlDatabase(queue).transaction() as uow:
        while not pages or after is not None:
            with recorded(queue) as sent:
                repaired = await uow.review_queue.repair(after=after, limit=PAGE)
            pages.append(sent)
            corrected, after = corrected + repaired.number, repaired.next

    assert corrected == 0
    assert len(pages) >= 2 * WAITING / PAGE
    for page in (pages[0], pages[len(pages) // 4], pages[3 * len(pages) // 4]):
        plans = [await explained(queue, *statement, large=True) for statement in page]
        assert sum(handled(node) for plan in plans for node in nodes(plan)) <= ROWS_PER_RESULT * PAGE
