"""Claims of reviewers on essays in the queue: at most one for each essay, stored in the essay's row."""

from dataclasses import dataclass
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Uuid, bindparam, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.errors import NotFound
from domain.grading.review_queue import CLAIM_LASTS, Claim, QueuedItem, ReviewReason
from persistence.queries.reader import Selected
from persistence.queries.review_queue import FilterShape, QueueFilter, QueueItemView, ordered, queue_items, waiting
from persistence.tables import ReviewItemRow
from persistence.tables.base import table_of

_ITEM: Final = ReviewItemRow

_LOCATION: Final = text("""
SELECT assessment.id AS assessment_id, snapshot.question_id, assessment.revision
FROM assessment_question_snapshots AS snapshot JOIN assessments AS assessment ON assessment.id = snapshot.assessment_id
WHERE snapshot.id = :item_id AND assessment.organization_id = :organization_id AND assessment.revision > 0
""")
_LOCK: Final = """
SELECT item.question_snapshot_id, item.reasons, item.waiting, item.claimed_by, item.claimed_until,
  item.claimed_until > clock_timestamp() AS live, (SELECT email FROM users WHERE id = item.claimed_by) AS email
FROM review_items AS item WHERE item.question_snapshot_id = :item_id FOR UPDATE OF item
"""
_CLOSE: Final = text(f"""
UPDATE review_items AS item
SET waiting = 'appealed' = ANY(before.reasons), claimed_by = NULL, claimed_until = NULL
FROM ({_LOCK}) AS before WHERE item.question_snapshot_id = before.question_snapshot_id
RETURNING before.*
""")  # noqa: S608  # a statement of this file


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLocation:
    """An essay's assessment and question, and the revision of the published result."""

    assessment_id: UUID
    question_id: UUID
    revision: int


class ReviewClaims:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def locate(self, item_id: UUID, organization_id: UUID) -> ItemLocation:
        """Find an essay, whether or not it is in the queue.

        Raises:
            NotFound: the organization has no such essay with a result.
        """
        found = await self._session.execute(_LOCATION, {"item_id": item_id, "organization_id": organization_id})
        row = found.mappings().one_or_none()
        if row is None:
            raise NotFound("No such item in the review queue")
        return ItemLocation(**row)

    async def lock(self, item_id: UUID) -> QueuedItem | None:
        """Lock the essay's place in the queue until the transaction ends. None: it is not in the queue."""
        return _queued((await self._session.execute(text(_LOCK), {"item_id": item_id})).mappings().one_or_none())

    async def claim_first(self, organization_id: UUID, found: QueueFilter, reviewer_id: UUID) -> QueueItemView | None:
        """Claim the first matching essay without a claim. Essays that others are claiming now are skipped."""
        parameters = {**found.parameters(organization_id), "reviewer_id": reviewer_id}
        row = (await self._session.execute(_claim_first(found.shape), parameters)).mappings().one_or_none()
        return None if row is None else QueueItemView(**row)

    async def claim(self, item_id: UUID, reviewer_id: UUID) -> QueueItemView:
        """Write a claim of a locked essay that lasts from now on."""
        parameters = {"claimed_item": item_id, "reviewer_id": reviewer_id}
        return QueueItemView(**(await self._session.execute(_claim_one(), parameters)).mappings().one())

    async def release(self, item_id: UUID, reviewer_id: UUID) -> None:
        """End the reviewer's claim. A claim of another reviewer does not change."""
        theirs = update(_ITEM).where(_ITEM.question_snapshot_id == item_id, _ITEM.claimed_by == reviewer_id)
        await self._session.execute(theirs.values(claimed_by=None, claimed_until=None))

    async def close(self, item_id: UUID) -> QueuedItem | None:
        """Take a reviewed essay out of the queue and end any claim on it. An open appeal keeps it in the queue.

        Return its place before, or None if it was not in the queue. The caller checks the claim and the revision.
        """
        return _queued((await self._session.execute(_CLOSE, {"item_id": item_id})).mappings().one_or_none())


@cache
def _claim_first(shape: FilterShape) -> Selected:
    unclaimed = or_(_ITEM.claimed_until.is_(None), _ITEM.claimed_until <= func.now())
    first = (
        select(_ITEM.question_snapshot_id)
        .where(*waiting(shape), unclaimed)
        .order_by(*ordered(shape))
        .limit(1)
        .with_for_update(of=_ITEM, skip_locked=True)
    )
    return _claim(first.scalar_subquery())


@cache
def _claim_one() -> Selected:
    return _claim(bindparam("claimed_item", type_=Uuid()))


def _claim(item_id: ColumnElement[UUID]) -> Selected:
    """Write the claim, and select the item with it."""
    claimed = (
        update(_ITEM)
        .where(_ITEM.question_snapshot_id == item_id)
        .values(claimed_by=bindparam("reviewer_id"), claimed_until=func.clock_timestamp() + literal(CLAIM_LASTS))
        .returning(*table_of(_ITEM).c)
    )
    return queue_items(aliased(_ITEM, claimed.cte("claimed")))


def _queued(row: RowMapping | None) -> QueuedItem | None:
    if row is None:
        return None
    claim = None
    if row["claimed_by"] is not None:
        claim = Claim(user_id=row["claimed_by"], email=row["email"], expires_at=row["claimed_until"], live=row["live"])
    return QueuedItem(
        reasons=tuple(ReviewReason(reason) for reason in row["reasons"]), waiting=row["waiting"], claim=claim
    )
