"""Open and close appeals, each with its audit row and its webhook event."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update

from domain.appeals import Appeal, AppealState
from domain.assessments.lifecycle import Assessment
from domain.webhooks.deliveries import Delivery
from persistence.queries.appeal_views import AppealView
from persistence.queries.appeals import appeals_of
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.appeals import record
from persistence.repositories.base import Repository
from persistence.repositories.bulk import insert_rows
from persistence.repositories.events import EventType, appeal_event_rows, deliveries_in
from persistence.repositories.review_queue import SqlReviewQueue
from persistence.tables import AppealRow, EssayReviewRow, UserRow
from persistence.tables.base import table_of

_appeals: Final = table_of(AppealRow)
_reviews: Final = table_of(EssayReviewRow)
_users: Final = table_of(UserRow)

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_COUNT: Final = select(func.count()).where(
    _appeals.c.user_id == bindparam("user_id"), _appeals.c.role_id == bindparam("role_id")
)
_OPEN: Final = select(_appeals.c.id).where(
    _appeals.c.question_snapshot_id == bindparam("snapshot_id"), _appeals.c.state == AppealState.OPEN.value
)
_LAST_REVIEWER: Final = (
    select(_reviews.c.reviewer_id)
    .where(
        _reviews.c.assessment_id == bindparam("assessment_id"),
        _reviews.c.question_snapshot_id == bindparam("snapshot_id"),
    )
    .order_by(_reviews.c.created_at.desc(), _reviews.c.id.desc())
    .limit(1)
)
_COLLEAGUE: Final = (
    select(_users.c.id)
    .where(
        _users.c.organization_id == bindparam("organization_id"),
        _users.c.role.in_(("advisor", "admin")),
        _users.c.status == "active",
        _users.c.id != bindparam("reviewer_id"),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedAppeal:
    """How an appeal ends. `review_id` is the review of an upheld appeal."""

    state: AppealState
    message: str | None = None
    review_id: UUID | None = None


class SubmittedAppeals(Repository):
    """Write appeals in the caller's transaction. The caller commits and then notifies the workflow engine."""

    async def count(self, assessment: Assessment) -> int:
        """Return how many appeals the student has opened for the role, and lock the number until the transaction ends.

        The caller holds the lock of the assessment.
        """
        whose = {"user_id": assessment.user_id, "role_id": assessment.role_id}
        await self._session.execute(_LOCK, {"name": "appeals/{user_id}/{role_id}".format_map(whose)})
        number: int = (await self._session.scalars(_COUNT, whose)).one()
        return number

    async def open_of(self, snapshot_id: UUID) -> UUID | None:
        """Return the id of the item's open appeal. The caller holds the lock of the assessment."""
        found: UUID | None = await self._session.scalar(_OPEN, {"snapshot_id": snapshot_id})
        return found

    async def last_reviewer(self, appeal: Appeal) -> UUID | None:
        """Return the author of the newest review of the appealed essay."""
        item = {"assessment_id": appeal.assessment_id, "snapshot_id": appeal.snapshot_id}
        found: UUID | None = await self._session.scalar(_LAST_REVIEWER, item)
        return found

    async def has_colleagues(self, organization_id: UUID, reviewer_id: UUID) -> bool:
        """Return whether the organization has another active advisor or admin."""
        others = {"organization_id": organization_id, "reviewer_id": reviewer_id}
        return await self._session.scalar(_COLLEAGUE, others) is not None

    async def add(
        self, assessment: Assessment, appeal: Appeal, reason: str, now: datetime, student: Actor
    ) -> tuple[Delivery, ...]:
        """Insert an open appeal. Return the deliveries of its event."""
        row = {
            "id": appeal.id,
            "assessment_id": appeal.assessment_id,
            "question_snapshot_id": appeal.snapshot_id,
            "organization_id": appeal.organization_id,
            "user_id": appeal.user_id,
            "role_id": appeal.role_id,
            "revision": appeal.revision,
            "state": appeal.state.value,
            "reason": reason,
            "reminder_due_at": appeal.reminder_due_at,
            "answer_due_at": appeal.answer_due_at,
            "created_at": now,
            "updated_at": now,
        }
        await insert_rows(self._session, {AppealRow: [row]})
        await record(self._session, "appeal.opened", appeal, student)
        return await self._event(EventType.APPEAL_OPENED, assessment, appeal, now)

    async def answer(
        self, assessment: Assessment, appeal: Appeal, answer: ClosedAppeal, now: datetime, reviewer: Actor
    ) -> tuple[Delivery, ...]:
        """Close the locked appeal with a reviewer's answer. Return the deliveries of its event."""
        closed = await self._close(appeal, answer, now, reviewer)
        return await self._event(EventType.APPEAL_ANSWERED, assessment, closed, now)

    async def withdraw(self, appeal: Appeal, now: datetime, student: Actor) -> None:
        """Close the locked appeal for its student. There is no event."""
        await self._close(appeal, ClosedAppeal(state=AppealState.WITHDRAWN), now, student)

    async def view(self, appeal_id: UUID, viewer: AccessScope) -> AppealView:
        """Return an appeal of this transaction."""
        rows = await self._session.execute(appeals_of(viewer).where(_appeals.c.id == appeal_id))
        return AppealView(**rows.mappings().one())

    async def _close(self, appeal: Appeal, end: ClosedAppeal, now: datetime, actor: Actor) -> Appeal:
        answered_by = None if end.state is AppealState.WITHDRAWN else actor.id
        await self._session.execute(
            update(_appeals)
            .where(_appeals.c.id == appeal.id)
            .values(
                state=end.state.value,
                message=end.message,
                review_id=end.review_id,
                answered_by=answered_by,
                closed_at=now,
                updated_at=now,
            )
        )
        await SqlReviewQueue(self._session).close_appeal(appeal.snapshot_id)
        details = {"review_id": end.review_id} if end.review_id else {}
        action = f"appeal.{end.state}"
        await record(self._session, action, appeal, actor, **details)
        return replace(appeal, state=end.state)

    async def _event(
        self, event_type: EventType, assessment: Assessment, appeal: Appeal, now: datetime
    ) -> tuple[Delivery, ...]:
        rows = await appeal_event_rows(self._session, event_type, assessment, appeal, now)
        await insert_rows(self._session, rows)
        return deliveries_in(rows)
