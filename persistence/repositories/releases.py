"""Release a held result: the student and partners see its current revision from now on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select, text, update

from domain.assessments.lifecycle import Assessment
from domain.assessments.release import is_lowered
from domain.webhooks.deliveries import Delivery
from persistence.queries.views import AccessScope
from persistence.repositories.assessments import transition
from persistence.repositories.base import Repository
from persistence.repositories.bulk import insert_rows
from persistence.repositories.events import Events, EventType, deliveries_in, event_rows
from persistence.tables import AssessmentRow, ResultRevisionRow, UserRow
from persistence.tables.base import table_of

_assessments: Final = table_of(AssessmentRow).c
_users: Final = table_of(UserRow).c
_revisions: Final = table_of(ResultRevisionRow)

# Healing stops when an internal error prevents the next revision, which would publish the reviews.
_CANDIDATE: Final = text("""
SELECT a.needs_review, a.released_at,
  a.healing <> 'stopped' AND EXISTS (
    SELECT FROM essay_reviews WHERE assessment_id = a.id AND published_revision IS NULL
  ) AS review_pending,
  (SELECT document -> 'scores' FROM result_revisions WHERE assessment_id = a.id AND revision = a.released_revision)
    AS shown,
  (SELECT document -> 'scores' FROM result_revisions
   WHERE assessment_id = a.id AND revision = a.revision AND a.released_revision > 0) AS new
FROM assessments AS a WHERE a.id = :assessment_id
""")
_SHOW: Final = (
    update(_revisions)
    .where(_revisions.c.assessment_id == bindparam("of_assessment"), _revisions.c.revision == bindparam("of_revision"))
    .values(held=False)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCandidate:
    """The stored state that decides on a release.

    `review_pending`: a reviewer's levels are stored, and the revision with them is not published yet. `lowered`: the
    current revision has fewer points than the student has seen.
    """

    needs_review: bool
    review_pending: bool
    lowered: bool
    released_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFilter:
    """A filter of held results; conditions are combined with AND."""

    role_id: UUID | None = None
    user_id: UUID | None = None
    needs_review: bool | None = None
    since: datetime | None = None


class Releases(Repository):
    async def candidate(self, assessment_id: UUID) -> ReleaseCandidate:
        """Read the state of a locked assessment."""
        row = (await self._session.execute(_CANDIDATE, {"assessment_id": assessment_id})).one()
        return ReleaseCandidate(
            needs_review=row.needs_review,
            review_pending=row.review_pending,
            lowered=is_lowered(points_of(row.shown), points_of(row.new)),
            released_at=row.released_at,
        )

    async def release(
        self, before: Assessment, after: Assessment, candidate: ReleaseCandidate, actor: UUID
    ) -> tuple[datetime, tuple[Delivery, ...]]:
        """Write the release of a locked assessment with its audit row and its events.

        Return the time of the release and the pending deliveries, which the caller must start.
        """
        moved = await transition(self._session, before, after, actor=actor)
        await self._session.execute(_SHOW, {"of_assessment": after.id, "of_revision": after.revision})
        events = publication_events(before, after, needs_review=candidate.needs_review, lowered=candidate.lowered)
        rows = await event_rows(self._session, after, moved.at, events)
        await insert_rows(self._session, rows)
        return moved.at, deliveries_in(rows)

    async def held(self, viewer: AccessScope, wanted: ReleaseFilter, limit: int) -> list[UUID]:
        """Return the ids of at most `limit` held results, the oldest assessments first."""
        equal = {
            _assessments.role_id: wanted.role_id,
            _assessments.user_id: wanted.user_id,
            _assessments.needs_review: wanted.needs_review,
        }
        conditions = [column == value for column, value in equal.items() if value is not None]
        if wanted.since is not None:
            conditions.append(_assessments.created_at >= wanted.since)
        found = (
            select(_assessments.id)
            .join(UserRow, _users.id == _assessments.user_id)
            .where(
                _assessments.organization_id == viewer.organization_id,
                _assessments.released_revision.is_not(None),
                _users.status.not_in(("erasing", "erased")),
                *conditions,
            )
            .order_by(_assessments.created_at, _assessments.id)
            .limit(limit)
        )
        return list(await self._session.scalars(found))


def publication_events(before: Assessment, after: Assessment, *, needs_review: bool, lowered: bool) -> Events:
    """Return the events of a publication or a release.

    `completed` and `updated` announce what the student sees, so a held revision has neither. `held` announces that a
    result becomes held, `released` that it no longer is.
    """
    if after.held:
        return {} if before.held else {EventType.HELD: {}}
    first = {EventType.COMPLETED: {"needs_review": needs_review}}
    later = {EventType.UPDATED: {"needs_review": needs_review, "lowered": lowered}}
    released: Events = {EventType.RELEASED: {"needs_review": needs_review}} if before.held else {}
    return {**(first if before.shown_revision == 0 else later), **released}


def points_of(scores: Sequence[Mapping[str, Any]] | None) -> dict[UUID, Decimal | None]:
    """Return the points by question from the `scores` of a stored document."""
    points = {UUID(score["question_id"]): score["points"] for score in scores or ()}
    return {question: None if value is None else Decimal(str(value)) for question, value in points.items()}
