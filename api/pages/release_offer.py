"""The offer to release a held result whose last doubtful essay a reviewer has just decided."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from api.dependencies import Services
from api.pages.texts import gettext
from api.schemas.base import Id, QueryInput
from domain.grading.review_queue import ReviewReason
from persistence.queries.advisor_pages import StudentView
from persistence.queries.review_queue import QueueFilter
from persistence.queries.views import AccessScope

_MAX_ESSAYS: Final = 100
"""Waiting essays of one assessment that are read; an assessment has fewer essays."""


class DecidedQuery(QueryInput):
    """The assessment whose essay was decided before the page was opened. `item_id`: the essay that is on the desk."""

    decided: Id | None = None
    item_id: Id | None = None


class OfferState(StrEnum):
    """`publishing`: the review is stored, and the revision with it is published within seconds."""

    PUBLISHING = "publishing"
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOffer:
    """A result without doubtful essays. `student` None: the organization hides its students from reviewers.

    `lowered`: the result has fewer points than the student has seen.
    """

    assessment_id: UUID
    role: str
    student: StudentView | None
    state: OfferState
    lowered: bool


async def release_offer(assessment_id: UUID, services: Services, scope: AccessScope) -> ReleaseOffer | None:
    """Return the offer; None if there is no result, or while a doubt or an appeal of it waits for a reviewer."""
    status = await services.queries.status(assessment_id, scope)
    if status is None or status.released is None:
        return None
    found = QueueFilter(assessment_id=assessment_id)
    waiting, _ = await services.review_queue.page(scope.organization_id, found, None, _MAX_ESSAYS)
    if any(set(each.reasons) != {ReviewReason.AUDIT_SAMPLE} for each in waiting):
        return None
    async with services.database.transaction() as uow:
        candidate = await uow.releases.candidate(assessment_id)
    role = await services.queries.role(status.role_id)
    hidden = await services.queries.is_anonymous(assessment_id, scope)
    return ReleaseOffer(
        assessment_id=assessment_id,
        role=role.name if role else gettext("Assessment"),
        student=None if hidden else await services.pages.advisor.student(status.user_id, scope.organization_id),
        state=_state(released=status.released, pending=candidate.review_pending),
        lowered=candidate.lowered,
    )


def _state(*, released: bool, pending: bool) -> OfferState:
    if released:
        return OfferState.RELEASED
    return OfferState.PUBLISHING if pending else OfferState.HELD
