"""`python -m tests.benchmarks.copies`: measure the search for copies among N earlier answers to one question.

N is a comma-separated list of sizes, REQUESTS the number of measured searches for each. All answers belong to one
organization. A third of each answer's shingles are among 50 usual phrases of the question; the searched answers also
share half of their shingles with one earlier answer. `blocks` is the median number of 8 KiB blocks that a statement
reads. The CPU time is that of this process alone, without the server's.
"""

import asyncio
import os
import random
import statistics
import time
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.database import Database
from domain.grading.copies import MOST_SHINGLES, OtherAnswer
from persistence.database import create_engine
from persistence.unit_of_work import SqlDatabase
from tests.benchmarks import report
from tests.benchmarks.filled_database import filled_database
from tests.persistence.page_cost import blocks_read
from tests.support.databases import settings_of

SIZES: Final = tuple(map(int, os.environ.get("N", "1000,10000,100000").split(",")))
REQUESTS: Final = int(os.environ.get("REQUESTS", "200"))
WARM: Final = 20
SEED: Final = 7
ORGANIZATION: Final = UUID(int=1)
USUAL: Final = 50
WORDS: Final = 250

# A stored shingle is the XOR of a word hash with the hash of organization and question, as in the repository.
_ROWS: Final = """
INSERT INTO organizations (id, name) VALUES (%(organization)s, 'A college');
INSERT INTO users (id, organization_id, email, role)
SELECT lpad(to_hex(n), 32, '0')::uuid, %(organization)s, n || '@college.example', 'student'
FROM generate_series(1, %(rows)s) n;
INSERT INTO assessments
  (id, user_id, organization_id, role_id, status, revision, expires_at, submitted_at, completed_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, %(organization)s,
  (SELECT role_id FROM questions WHERE kind = 'text' ORDER BY id LIMIT 1), 'completed', 1, now(),
  now() - (%(rows)s - n) * interval '1 second', now()
FROM generate_series(1, %(rows)s) n;
INSERT INTO assessment_question_snapshots
  (id, assessment_id, question_id, position, prompt, rubric, question_type, kind, answer_format, weight, version)
SELECT md5(assessment.id::text)::uuid, assessment.id, question.id, 1, '', '{}', 'essay', 'text', '{}', 1,
  question.version
FROM assessments AS assessment, (SELECT id, version FROM questions WHERE kind = 'text' ORDER BY id LIMIT 1) AS question;
INSERT INTO assessment_responses (id, assessment_id, question_snapshot_id, answer)
SELECT gen_random_uuid(), assessment_id, id, to_jsonb(repeat(left(id::text, 5) || ' ', %(words)s))
FROM assessment_question_snapshots;
INSERT INTO answer_shingles (shingle, question_snapshot_id)
SELECT DISTINCT given.word_hash # ('x' || encode(substr(sha256(
    uuid_send(%(organization)s) || uuid_send(snapshot.question_id)), 1, 8), 'hex'))::bit(64)::bigint, snapshot.id
FROM assessment_question_snapshots AS snapshot, LATERAL (
  SELECT CASE WHEN k %% 3 = 0 THEN 1 + (k + hashtext(snapshot.id::text) %% 1000000) %% %(usual)s
    ELSE hashtextextended(snapshot.id::text, k) END AS word_hash FROM generate_series(1, %(shingles)s) k
) AS given;
"""
_WORD_HASHES: Final = text("""
SELECT ARRAY(SELECT hashtextextended(CAST(md5(CAST(CAST(:id AS uuid) AS text)) AS uuid)::text, k)
  FROM generate_series(1, :shingles) k WHERE k % 3 <> 0)
""")
_NEWEST: Final = text("""
UPDATE assessments SET submitted_at = now() + interval '1 day' WHERE id = :id RETURNING
  (SELECT id FROM assessment_question_snapshots WHERE assessment_id = assessments.id)
""")


async def measure(url: str, rows: int) -> dict[str, float]:
    """Return the figures of searches among `rows` answers. `found` is the share that finds the copied answer."""
    dice = random.Random(SEED)
    engine = create_engine(settings_of(url))
    database = SqlDatabase(engine)
    times, blocks, found = [], [], 0
    cpu = 0.0
    for place in range(WARM + REQUESTS):
        own, source = dice.sample(range(1, rows + 1), 2)
        snapshot, shingles = await _answer(engine, own, source, dice)

        search = partial(_search, database, own, snapshot, shingles)
        began, cpu_began = time.perf_counter(), time.process_time()
        others = await search()
        if place >= WARM:
            times.append(time.perf_counter() - began)
            cpu += time.process_time() - cpu_began
            found += UUID(int=source) in {other.assessment_id for other in others}
            blocks.append((await blocks_read(engine, search))[1])
    await engine.dispose()
    return {
        "answers": rows,
        "p50_ms": 1000 * statistics.median(times),
        "p95_ms": 1000 * statistics.quantiles(times, n=20)[-1],
        "cpu_ms": 1000 * cpu / REQUESTS,
        "blocks": statistics.median(blocks),
        "found": found / REQUESTS,
    }


async def _search(database: Database, own: int, snapshot: UUID, shingles: list[int]) -> tuple[OtherAnswer, ...]:
    async with database.statement() as uow:
        return (await uow.fingerprints.add(UUID(int=own), {snapshot: shingles}))[snapshot].answers


async def _answer(engine: AsyncEngine, own: int, source: int, dice: random.Random) -> tuple[UUID, list[int]]:
    """Make an answer the newest one, and return its snapshot and shingles, half of them copied from the source."""
    async with engine.begin() as connection:
        snapshot = (await connection.execute(_NEWEST, {"id": UUID(int=own)})).scalar_one()
        given = {"id": UUID(int=source), "shingles": MOST_SHINGLES}
        copied = (await connection.execute(_WORD_HASHES, given)).scalar_one()
    usual = dice.sample(range(1, USUAL + 1), MOST_SHINGLES // 3)
    half = dice.sample(copied, MOST_SHINGLES // 2)
    return snapshot, [*usual, *half, *(dice.getrandbits(62) for _ in range(MOST_SHINGLES - len(usual) - len(half)))]


def main() -> None:
    results = []
    for rows in SIZES:
        values = {
            "organization": ORGANIZATION,
            "rows": rows,
            "words": WORDS,
            "usual": USUAL,
            "shingles": MOST_SHINGLES,
        }
        with filled_database(_ROWS, values) as url:
            results.append(asyncio.run(measure(url, rows)))
        report.progress(len(results), len(SIZES), "sizes")
    report.say(report.table(list(results[0]), [list(each.values()) for each in results]))
    report.write("bench-copies", {"requests": REQUESTS, "rows": results})


if __name__ == "__main__":
    main()
