"""A claim of an essay with a rare reason reads the essays with that reason, and not all essays before it."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.grading.review_queue import DOUBTS, ReviewReason
from persistence.queries.review_queue import QueueFilter, QueueOrder
from persistence.repositories.review_claims import ReviewClaims
from persistence.unit_of_work import sessions
from tests.persistence.plans import explained, handled, nodes
from tests.persistence.review_queue.test_repair_at_scale import queue
from tests.support.statements import recorded

__all__ = ["queue"]

RARE = 20
"""One essay in so many has the rare reason."""
LIVE = 10
ROWS = 3 * (LIVE + 1)
"""Rows of the queue that the plan of a claim may handle: those with a live claim, and the claimed one a few times."""

_REASONS = """
UPDATE review_items SET
  reasons = ARRAY[CASE WHEN place %% %(rare)s = 0 THEN %(reason)s ELSE %(common)s END],
  submitted_at = now() - place * interval '1 minute'
FROM (SELECT question_snapshot_id AS id, row_number() OVER () AS place FROM review_items) AS numbered
WHERE numbered.id = question_snapshot_id
"""


def with_reasons(url: str, reason: ReviewReason) -> None:
    common = next(doubt for doubt in DOUBTS if doubt is not reason)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(_REASONS, {"rare": RARE, "reason": reason.value, "common": common.value})
        connection.execute("VACUUM FULL ANALYZE review_items")


@pytest.mark.parametrize("reason", DOUBTS)
@pytest.mark.parametrize("order", QueueOrder)
async def test_the_cost_of_a_claim_by_a_rare_reason_does_not_grow_with_the_queue(
    queue: AsyncEngine, clean_database: str, reason: ReviewReason, order: QueueOrder
) -> None:
    with_reasons(clean_database, reason)
    async with sessions(queue)() as session:
        organization, reviewer = (await session.execute(text("SELECT organization_id, id FROM users LIMIT 1"))).one()

    claimed = []
    with recorded(queue) as sent:
        for _ in range(LIVE):
            async with sessions(queue)() as session:
                wanted = QueueFilter(reason=reason, order=order)
                claimed.append(await ReviewClaims(session).claim_first(organization, wanted, reviewer))
                await session.commit()
    plan = await explained(queue, *sent[-1])

    assert len({each.item_id for each in claimed if each}) == LIVE
    assert sum(handled(node) for node in nodes(plan) if node.get("Relation Name") == "review_items") <= ROWS
