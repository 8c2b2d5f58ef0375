"""Read the review queue: a page, the number of waiting essays, and the claims of a reviewer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Integer,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased
from sqlalchemy.orm.util import AliasedClass

from domain.grading.review_queue import DOUBTS, ReviewReason
from persistence.queries.blind_reviews import reviews_blindly
from persistence.queries.people_search import is_member
from persistence.queries.reader import Reader, Selected
from persistence.tables import ReviewItemRow, RoleRow, UserRow
from persistence.tables.review_queue import array_of

COUNTED: Final = 1001
"""Counting stops here, because a page must not become slower with the length of the queue."""

_ITEM: Final = ReviewItemRow
_MATCHES: Final[Mapping[str, Callable[[BindParameter[UUID]], ColumnElement[bool]]]] = {
    "assessment_id": lambda value: _ITEM.assessment_id == value,
    "role_id": lambda value: _ITEM.role_id == value,
    "question_id": lambda value: _ITEM.question_id == value,
    "cohort_id": lambda value: is_member(_ITEM.user_id.expression, value),
}
"""The condition of each filter with an id."""
_APPEALED, _DOUBTED, _AUDIT = range(3)
_PRIORITIES: Final = {
    ReviewReason.APPEALED: [_APPEALED],
    **{doubt: [_APPEALED, _DOUBTED] for doubt in DOUBTS},
    ReviewReason.AUDIT_SAMPLE: [_APPEALED, _AUDIT],
}
"""The values of `review_items.priority` that items with a reason can have."""


class QueueOrder(StrEnum):
    """`priority`: appeals first, audit samples last; within a priority the stable pseudo-random order.

    `oldest` and `newest` sort by the time of the hand-in.
    """

    PRIORITY = "priority"
    OLDEST = "oldest"
    NEWEST = "newest"


FilterShape: TypeAlias = tuple[tuple[str, ...], ReviewReason | None, QueueOrder]
"""The ids that a filter names, the reason, and the order."""

Position: TypeAlias = tuple[int | datetime, UUID]
"""The priority or the hand-in time of an essay, and its order key."""

Items: TypeAlias = type[ReviewItemRow] | AliasedClass[ReviewItemRow]
"""The table of items, or a selection of its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """A filter of the queue. Conditions are combined with AND."""

    assessment_id: UUID | None = None
    role_id: UUID | None = None
    question_id: UUID | None = None
    cohort_id: UUID | None = None
    reason: ReviewReason | None = None
    order: QueueOrder = QueueOrder.PRIORITY

    @property
    def shape(self) -> FilterShape:
        """Return what determines the statement; the values are parameters of it."""
        return tuple(name for name in _MATCHES if getattr(self, name) is not None), self.reason, self.order

    def parameters(self, organization_id: UUID) -> dict[str, object]:
        """Return the values. Their names differ from all columns, so that an UPDATE does not set them."""
        values: dict[str, object] = {f"of_{name}": getattr(self, name) for name in self.shape[0]}
        if self.reason is not None:
            values |= {"of_priorities": _PRIORITIES[self.reason]}
        return {"of_organization": organization_id, **values}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItemView:
    """A waiting essay with its student. The `claimed_…` fields are set until its claim expires.

    `blind`: the organization hides its students from reviewers.
    """

    item_id: UUID
    assessment_id: UUID
    question_id: UUID
    role_id: UUID
    role_name: str
    reasons: list[str]
    revision: int
    submitted_at: datetime
    user_id: UUID
    email: str
    name: str | None
    claimed_by: UUID | None
    claimed_by_email: str | None
    claimed_until: datetime | None
    priority: int
    order_key: UUID
    blind: bool


class ReviewQueueQueries(Reader):
    async def page(
        self, organization_id: UUID, found: QueueFilter, after: Position | None, limit: int
    ) -> tuple[list[QueueItemView], int]:
        """Return at most `limit` waiting essays, and how many match the filter (at most `COUNTED`)."""
        parameters = found.parameters(organization_id)
        following = {} if after is None else {"first": after[0], "after": after[1]}
        async with self._connection() as connection:
            page = _page(found.shape, following=after is not None)
            result = await connection.execute(page, parameters | following | {"limit": limit})
            rows = [dict(row) for row in result.mappings()]
            totals = [row.pop("total") for row in rows]
            if not totals:  # no row has the total
                totals = [(await connection.execute(_count(found.shape), parameters)).scalar_one()]
        return [QueueItemView(**row) for row in rows], totals[0]

    async def item(self, organization_id: UUID, item_id: UUID) -> QueueItemView | None:
        """Return a waiting essay; None if it does not wait, or belongs to another organization."""
        everything = QueueFilter()
        statement = queue_items().where(*waiting(everything.shape), _ITEM.question_snapshot_id == item_id)
        return await self._one(QueueItemView, statement, everything.parameters(organization_id))

    async def claimed_by(self, organization_id: UUID, user_id: UUID) -> list[QueueItemView]:
        """Return the essays on which the reviewer has a live claim, the claim that expires first at the top."""
        everything = QueueFilter()
        live = (_ITEM.claimed_by == user_id, _ITEM.claimed_until > func.now())
        statement = queue_items().where(*waiting(everything.shape), *live)
        sorted_ = statement.order_by(_ITEM.claimed_until, _ITEM.order_key)
        return await self._all(QueueItemView, sorted_, everything.parameters(organization_id))


# The statements are built once for each shape of a filter, because building one takes longer than its execution.
@cache
def _page(shape: FilterShape, *, following: bool) -> Selected:
    """Select a page with names and, in each row, the number of essays that match.

    The page is a subquery, so that names are read for its rows only.
    """
    page = select(_ITEM).where(*waiting(shape)).order_by(*ordered(shape)).limit(bindparam("limit", type_=Integer))
    if following:
        page = page.where(_following(shape[2]))
    shown = aliased(_ITEM, page.subquery())
    total = _count(shape).scalar_subquery().label("total")
    return queue_items(shown).add_columns(total).order_by(*ordered(shape, shown))


@cache
def _count(shape: FilterShape) -> Selected:
    counted = select(_ITEM.question_snapshot_id).where(*waiting(shape)).limit(COUNTED)
    return select(func.count()).select_from(counted.subquery())


def queue_items(item: Items = _ITEM) -> Selected:
    """Select items as `QueueItemView` has them."""
    student = aliased(UserRow)
    claimant = select(UserRow.email).where(UserRow.id == item.claimed_by).scalar_subquery()
    is_live = item.claimed_until > func.now()
    return (
        select(
            item.question_snapshot_id.label("item_id"),
            item.assessment_id,
            item.question_id,
            item.role_id,
            RoleRow.name.label("role_name"),
            item.reasons,
            item.revision,
            item.submitted_at,
            item.user_id,
            student.email,
            student.name,
            case((is_live, item.claimed_by)).label("claimed_by"),
            case((is_live, claimant)).label("claimed_by_email"),
            case((is_live, item.claimed_until)).label("claimed_until"),
            item.priority,
            item.order_key,
            reviews_blindly(item.organization_id.expression).label("blind"),
        )
        .join(student, student.id == item.user_id)
        .join(RoleRow, RoleRow.id == item.role_id)
    )


def waiting(shape: FilterShape) -> list[ColumnElement[bool]]:
    """Return the conditions of the waiting items that match a filter, with `QueueFilter.parameters` as parameters.

    Students who are being erased are left out.
    """
    names, reason, _ = shape
    erased = select(UserRow.id).where(UserRow.id == _ITEM.user_id, UserRow.status.in_(("erasing", "erased")))
    conditions: list[ColumnElement[bool]] = [
        _ITEM.organization_id == bindparam("of_organization"),
        _ITEM.waiting.expression,
        ~erased.exists(),
    ]
    conditions += [_MATCHES[name](bindparam(f"of_{name}", type_=Uuid())) for name in names]
    if reason is not None:
        # The reason is a literal, because PostgreSQL chooses a partial index when it plans. The priorities do not
        # change what matches. With them, the index skips the items before.
        conditions += [
            _ITEM.reasons.bool_op("@>")(literal_column(array_of(reason), ARRAY(Text))),
            _ITEM.priority == func.any(bindparam("of_priorities", type_=ARRAY(Integer))),
        ]
    return conditions


def ordered(shape: FilterShape, item: Items = _ITEM) -> tuple[ColumnElement[Any], ...]:
    """Return the columns to sort by. Order keys are distinct, so that the order is total.

    For a cohort, PostgreSQL would read an index in the order of the queue and expect an essay of a member soon, but
    most essays are of others. `greatest` hides the column from the index, so that it sorts the members' essays.
    """
    names, _, order = shape
    first = item.priority.expression if order is QueueOrder.PRIORITY else item.submitted_at.expression
    if "cohort_id" in names:
        first = func.greatest(first)
    if order is QueueOrder.NEWEST:
        return first.desc(), item.order_key.desc()
    return first.asc(), item.order_key.asc()


def _following(order: QueueOrder) -> ColumnElement[bool]:
    first = _ITEM.priority if order is QueueOrder.PRIORITY else _ITEM.submitted_at
    position = tuple_(first, _ITEM.order_key)
    after = tuple_(bindparam("first", type_=first.type), bindparam("after", type_=Uuid()))
    return position < after if order is QueueOrder.NEWEST else position > after
