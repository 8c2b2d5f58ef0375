"""The search for copies, and the sweep of older answers, read as much with many stored answers as with few."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.grading.copies import COMMON, MOST_SHINGLES, MOST_SOURCES
from persistence.repositories.fingerprints import ADD, PUBLISHED
from tests.support.builders import an_assessment
from tests.support.databases import Databases
from tests.support.reviewed_answers import first_essay

ANSWERS = 2_000
BLOCKS = 500 * MOST_SHINGLES
BLOCKS_OF_A_PAGE = 200
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

# Half of the shingles of the answer are in all other answers. No trigger checks the foreign key.
_STORED = text("""
INSERT INTO answer_shingles (shingle, question_snapshot_id)
SELECT CASE WHEN own.place % 2 = 0 THEN own.shingle ELSE CAST(random() * 9e18 AS bigint) END, answer.id
FROM (SELECT shingle, row_number() OVER () AS place FROM answer_shingles) AS own,
  (SELECT gen_random_uuid() AS id FROM generate_series(1, :answers)) AS answer
""")

# One result a second, each with an answered essay.
_PUBLISHED_RESULTS = """
SET session_replication_role = replica;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at, completed_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'completed', 1, %(noon)s,
  %(noon)s + n * interval '1 second'
FROM generate_series(1, %(results)s) n;
INSERT INTO assessment_question_snapshots (
  id, assessment_id, question_id, position, prompt, rubric, question_type, kind, answer_format, weight, version)
SELECT gen_random_uuid(), id, gen_random_uuid(), 1, '', '{}', 'essay', 'text', '{}', 1, '' FROM assessments;
INSERT INTO assessment_responses (id, assessment_id, question_snapshot_id, answer)
SELECT gen_random_uuid(), assessment_id, id, '""' FROM assessment_question_snapshots;
"""


async def test_the_search_uses_the_index_and_reads_a_bounded_number_of_blocks(session: AsyncSession) -> None:
    assessment = await an_assessment(session, items=2)
    essay = (await first_essay(session, assessment.id)).snapshot_id
    given: dict[str, Any] = {
        "assessment_id": assessment.id,
        "snapshots": [essay] * MOST_SHINGLES,
        "shingles": list(range(MOST_SHINGLES)),
        "common": COMMON,
        "most": MOST_SOURCES,
    }
    await session.execute(ADD, given)
    await session.execute(text("SET LOCAL session_replication_role = replica"))
    await session.execute(_STORED, {"answers": ANSWERS})
    await session.execute(text("ANALYZE answer_shingles"))
    explain = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {ADD.text}").bindparams(
        bindparam("snapshots", type_=ARRAY(Uuid)), bindparam("shingles", type_=ARRAY(BigInteger))
    )

    explained = (await session.execute(explain, given)).scalar_one()[0]

    plan = explained["Plan"]
    used = re.findall(
        r'"Index Name": "(answer_shingles_pkey)"|"Node Type": "(Seq Scan)", [^{}]*"answer_shingles"', json.dumps(plan)
    )
    assert ("answer_shingles_pkey", "") in used
    assert not [scan for _, scan in used if scan]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < BLOCKS


async def test_a_page_of_published_results_reads_a_bounded_number_of_blocks(
    databases: Databases, worker_name: str
) -> None:
    given = {"at": NOON + timedelta(seconds=ANSWERS), "id": UUID(int=0), "older_than_s": 600, "limit": 10}
    values = {"noon": NOON, "results": 5 * ANSWERS}
    async with (
        databases.filled(f"{worker_name}_results", _PUBLISHED_RESULTS, values) as engine,
        engine.connect() as own,
    ):
        explain = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {PUBLISHED.text}")
        explained = (await own.execute(explain, given)).scalar_one()[0]

    plan = explained["Plan"]
    assert plan["Actual Rows"] == given["limit"]
    assert "idx_assessments_completed" in json.dumps(plan)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < BLOCKS_OF_A_PAGE
