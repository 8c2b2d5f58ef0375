"""A batch of retention reads as much with a long history as with a short one."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.privacy import RetentionBatch, RetentionCursor, RetentionRule
from persistence.unit_of_work import SqlDatabase
from tests.persistence.page_cost import blocks_read
from tests.support.databases import Databases

ROWS = 10_000
DAYS = 365
LIMIT = 20
BLOCKS = 20
"""A batch without an old row reads the roots of its indexes."""
BLOCKS_OF_A_BATCH = 10 * LIMIT
"""A batch of old rows that are still needed reads about six blocks for each of them."""

KEEPS, DELETES, HOLDS = UUID(int=1), UUID(int=2), UUID(int=3)

# Every table has ROWS rows that no rule may delete now. The organization KEEPS keeps all answers, the answers of
# DELETES have been deleted, and the results of HOLDS are held. All assessments are old. Other rows are young, blank or
# still needed.
_HISTORY = """
SET session_replication_role = replica;
INSERT INTO organizations (id, name, answers_kept_days)
VALUES (%(keeps)s, 'Keeps', NULL), (%(deletes)s, 'Deletes', %(days)s), (%(holds)s, 'Holds', %(days)s);
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, released_revision, expires_at,
  created_at, completed_at, answers_deleted_at)
SELECT gen_random_uuid(), o.id, o.id, o.id, 'completed', 1, CASE o.id WHEN %(holds)s THEN 0 END, now(),
  t.old, t.old, CASE o.id WHEN %(deletes)s THEN now() END
FROM organizations AS o, (SELECT now() - make_interval(days => %(days)s + 1, secs => n) AS old
  FROM generate_series(1, %(rows)s) AS n) AS t;
INSERT INTO assessment_responses (id, assessment_id, question_snapshot_id, answer)
SELECT gen_random_uuid(), id, gen_random_uuid(), '""' FROM assessments WHERE organization_id <> %(deletes)s;
INSERT INTO model_answers (id, assessment_id, question_snapshot_id, rubric_hash, prompt_hash, model, sample, round,
  epoch, variant, status, answered_at, raw_reply)
SELECT gen_random_uuid(), id, gen_random_uuid(), repeat('0', 64), repeat('0', 64), 'model', 0, 0, 0, 'full', 'answered',
  completed_at, CASE organization_id WHEN %(holds)s THEN CAST('{}' AS bytea) END
FROM assessments;
INSERT INTO async_jobs (id, assessment_id, run, revision, job_type, status, completed_at)
SELECT gen_random_uuid(), id, 1, 0, 'score_rules', 'succeeded',
  CASE organization_id WHEN %(holds)s THEN completed_at ELSE now() END
FROM assessments;
INSERT INTO rescores (id, organization_id, role_id, versions, reason, scope, status)
VALUES (%(holds)s, %(holds)s, %(holds)s, '{}', '', 'rules', 'applying');
INSERT INTO rescore_differences (rescore_id, assessment_id, run, revision, status, created_at)
SELECT id, gen_random_uuid(), 1, 1, 'pending', now() - make_interval(days => %(days)s + 1, secs => n)
FROM rescores, generate_series(1, %(rows)s) AS n;
INSERT INTO webhook_events (id, organization_id, event_type, payload, body, status, created_at)
SELECT gen_random_uuid(), %(keeps)s, 'assessment.completed', '{}', '', s.status,
  now() - make_interval(days => CASE s.status WHEN 'pending' THEN %(days)s + 1 ELSE 0 END)
FROM generate_series(1, %(rows)s), (VALUES ('pending'), ('delivered')) AS s (status);
INSERT INTO webhook_attempts (id, delivery_id, n, outcome, latency_ms)
SELECT gen_random_uuid(), gen_random_uuid(), 1, 'ok', 1 FROM generate_series(1, %(rows)s);
INSERT INTO idempotency_keys (id, user_id, method, route, key, request_hash, response_status, response_body, expires_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'POST', '/', '1', repeat('0', 64), 200, '', now() + interval '1 day'
FROM generate_series(1, %(rows)s);
INSERT INTO refresh_tokens (id, user_id, family, token_hash, expires_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), lpad(CAST(n AS text), 64, '0'), now() + interval '1 day'
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO denied_requests (user_id, hour, count)
SELECT gen_random_uuid(), date_trunc('hour', now()), 1 FROM generate_series(1, %(rows)s);
"""

NEEDED = {RetentionRule.JOBS, RetentionRule.MODEL_REPLIES, RetentionRule.RESCORES, RetentionRule.ANSWERS}
"""The rules with old rows that something still needs."""


@pytest.fixture(scope="module")
async def history(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    values = {"keeps": KEEPS, "deletes": DELETES, "holds": HOLDS, "days": DAYS, "rows": ROWS}
    async with databases.filled(f"{worker_name}_history", _HISTORY, values) as engine:
        yield engine


async def cost(
    engine: AsyncEngine, rule: RetentionRule, days: int, after: RetentionCursor | None
) -> tuple[RetentionBatch, int]:
    """Return the batch and the number of blocks that its statement reads."""
    batches: list[RetentionBatch] = []

    async def apply() -> Sequence[object]:
        async with SqlDatabase(engine).statement() as uow:
            batches.append(await uow.retention.apply(rule, days=days, after=after, limit=LIMIT))
        return batches

    _, blocks = await blocks_read(engine, apply)
    return batches[0], blocks


@pytest.mark.parametrize("rule", [rule for rule in RetentionRule if rule not in NEEDED])
async def test_a_batch_without_old_rows_reads_few_blocks(history: AsyncEngine, rule: RetentionRule) -> None:
    batch, blocks = await cost(history, rule, 0 if rule is RetentionRule.IDEMPOTENCY_KEYS else DAYS, None)

    assert batch == RetentionBatch(rows=0, cursor=None)
    assert blocks <= BLOCKS


@pytest.mark.parametrize("rule", sorted(NEEDED))
async def test_a_batch_of_old_rows_that_are_needed_reads_few_blocks(history: AsyncEngine, rule: RetentionRule) -> None:
    after, costs = None, []
    for _ in range(3):
        batch, blocks = await cost(history, rule, _days(rule), after)
        costs.append(blocks)
        assert batch.rows == 0
        assert batch.cursor is not None
        assert batch.cursor != after
        after = batch.cursor

    assert max(costs) <= BLOCKS_OF_A_BATCH


@pytest.mark.parametrize("rule", sorted(NEEDED))
async def test_a_batch_after_the_last_old_row_reads_few_blocks(history: AsyncEngine, rule: RetentionRule) -> None:
    end = RetentionCursor(at=datetime.now(UTC), id=UUID(int=0), organization_id=HOLDS)

    batch, blocks = await cost(history, rule, _days(rule), end)

    assert batch == RetentionBatch(rows=0, cursor=None)
    assert blocks <= BLOCKS


async def test_answers_are_deleted_however_many_the_other_organizations_keep(history: AsyncEngine) -> None:
    released = text(
        "UPDATE assessments SET released_revision = NULL WHERE id IN (SELECT id FROM assessments"
        " WHERE organization_id = :holds ORDER BY created_at DESC LIMIT 3) RETURNING id"
    )
    marked = text("SELECT count(*) FROM assessments WHERE organization_id = :holds AND answers_deleted_at IS NOT NULL")
    async with history.begin() as connection:
        await connection.execute(released, {"holds": HOLDS})

    after, deleted = None, 0
    while True:
        async with SqlDatabase(history).statement() as uow:
            batch = await uow.retention.apply(RetentionRule.ANSWERS, days=0, after=after, limit=5_000)
        deleted += batch.rows
        after = batch.cursor
        if after is None:
            break

    async with history.connect() as connection:
        assert deleted == await connection.scalar(marked, {"holds": HOLDS}) == 3


def _days(rule: RetentionRule) -> int:
    """Without a limit for all organizations, only DELETES and HOLDS have one."""
    return 0 if rule is RetentionRule.ANSWERS else DAYS
