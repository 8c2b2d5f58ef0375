"""Read queries about appeals."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, not_, or_, select, tuple_

from persistence.queries.appeal_views import AppealFilter, AppealView
from persistence.queries.blind_reviews import reviews_blindly
from persistence.queries.reader import Reader, Selected
from persistence.queries.views import AccessScope
from persistence.tables import AppealRow, EssayReviewRow, QuestionSnapshotRow
from persistence.tables.base import table_of

_appeals: Final = table_of(AppealRow).c
_snapshots: Final = table_of(QuestionSnapshotRow).c
_reviews: Final = table_of(EssayReviewRow).c

_OVERDUE: Final = and_(_appeals.state == "open", _appeals.overdue_at.is_not(None))


class AppealQueries(Reader):
    async def appeals(self, viewer: AccessScope, found: AppealFilter, limit: int | None) -> list[AppealView]:
        """Return at most `limit` appeals, newest first. None: all of them."""
        newest = (
            appeals_of(viewer)
            .where(*matching(found))
            .order_by(_appeals.created_at.desc(), _appeals.id.desc())
            .limit(limit)
        )
        return await self._all(AppealView, newest)

    async def appeal(self, appeal_id: UUID, viewer: AccessScope) -> AppealView | None:
        return await self._one(AppealView, appeals_of(viewer).where(_appeals.id == appeal_id))


def appeals_of(viewer: AccessScope) -> Selected:
    """Select the appeals that the viewer may see, as an AppealView has them.

    The staff of an organization that reviews blindly do not see whose an open appeal is.
    """
    user_id: ColumnElement[Any] = _appeals.user_id
    if viewer.held:
        decided = or_(_appeals.state != "open", not_(reviews_blindly(viewer.organization_id)))
        user_id = case((decided, _appeals.user_id)).label("user_id")
    own = () if viewer.user_id is None else (_appeals.user_id == viewer.user_id,)
    return (
        select(
            _appeals.id.label("appeal_id"),
            _appeals.assessment_id,
            _snapshots.question_id,
            _appeals.role_id,
            user_id,
            _appeals.state,
            _appeals.reason,
            _appeals.revision,
            _appeals.created_at,
            _appeals.answer_due_at,
            _appeals.reminded_at,
            _appeals.overdue_at,
            _appeals.closed_at,
            _appeals.message,
            _appeals.answered_by,
            _reviews.published_revision,
        )
        .join(QuestionSnapshotRow, _snapshots.id == _appeals.question_snapshot_id)
        .outerjoin(EssayReviewRow, _reviews.id == _appeals.review_id)
        .where(_appeals.organization_id == viewer.organization_id, *own)
    )


def matching(found: AppealFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter."""
    equal: dict[ColumnElement[Any], object] = {
        _appeals.assessment_id: found.assessment_id,
        _appeals.state: found.state,
        _appeals.role_id: found.role_id,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if found.overdue is not None:
        conditions.append(_OVERDUE if found.overdue else not_(_OVERDUE))
    if found.after is not None:
        conditions.append(tuple_(_appeals.created_at, _appeals.id) < found.after)
    return conditions
