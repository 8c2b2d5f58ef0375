"""What students and advisors make of a result."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVarTuple
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import Assessments
from domain.errors import Erased, InvalidInput, NotFound, Problem
from domain.ids import derived_id
from persistence.queries.assessments import seen_by
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import audit
from persistence.repositories.assessments import ERASED
from persistence.repositories.bulk import Rows, insert_rows
from persistence.tables import (
    AssessmentRow,
    FeedbackRow,
    MetricSnapshotRow,
    RecommendationItemRow,
    RecommendationRow,
    UserRow,
)

Rest = TypeVarTuple("Rest")

SATISFACTION: Final = "satisfaction"
"""The metric that feedback adds to: a relevance score, 1 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    relevance_score: int
    acceptance_status: str | None
    comments: str | None
    credential_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackReceipt:
    feedback_id: UUID
    recommendation_id: UUID
    revision: int
    submitted_at: datetime


class FeedbackIntake:
    """Writes of one transaction; the caller commits."""

    def __init__(self, session: AsyncSession, assessments: Assessments) -> None:
        self._session = session
        self._assessments = assessments

    async def give(
        self, recommendation_id: UUID, viewer: AccessScope, actor: Actor, feedback: Feedback
    ) -> FeedbackReceipt:
        """Adds a reaction to the current revision, with its audit row and its satisfaction metric.

        Raises:
            NotFound: there is no such recommendation, or it is not the viewer's.
            InvalidInput: `credential_id` is none of its items.
            Erased: whoever gives it is being erased.
        """
        assessment, now = await self._recommended(recommendation_id, viewer)
        await check_standing(self._session, actor)
        await self._check_recommended(recommendation_id, feedback.credential_id)
        receipt = FeedbackReceipt(
            feedback_id=uuid4(),
            recommendation_id=recommendation_id,
            revision=assessment.revision,
            submitted_at=now,
        )
        await insert_rows(self._session, _feedback_rows(receipt, assessment, actor, feedback))
        await audit.record(
            self._session,
            "feedback.given",
            "recommendation",
            recommendation_id,
            organization_id=assessment.organization_id,
            actor_id=actor.id,
            actor_role=actor.role,
            details={"feedback_id": receipt.feedback_id, "revision": receipt.revision},
        )
        return receipt

    async def _recommended(self, recommendation_id: UUID, viewer: AccessScope) -> tuple[Assessment, datetime]:
        owner = (
            select(AssessmentRow.id)
            .join(RecommendationRow, RecommendationRow.assessment_id == AssessmentRow.id)
            .where(RecommendationRow.id == recommendation_id, *seen_by(viewer))
        )
        assessment_id = await self._session.scalar(owner)
        if assessment_id is None:
            raise NotFound("No such recommendation")
        return await locked(self._assessments.lock(assessment_id), viewer)

    async def _check_recommended(self, recommendation_id: UUID, credential_id: UUID | None) -> None:
        if credential_id is None:
            return
        found = select(RecommendationItemRow.id).where(
            RecommendationItemRow.recommendation_id == recommendation_id,
            RecommendationItemRow.credential_id == credential_id,
        )
        if await self._session.scalar(found) is None:
            raise InvalidInput(
                "The request is not valid", (Problem("credential_id", "is not one of the recommended items"),)
            )


async def locked(lock: Awaitable[tuple[Assessment, *Rest]], viewer: AccessScope) -> tuple[Assessment, *Rest]:
    """What the lock gives; an assessment that is not the viewer's, not there or being erased look the same."""
    try:
        found = await lock
    except (NotFound, Erased):
        raise NotFound("No such assessment") from None
    if not viewer.sees(found[0]):
        raise NotFound("No such assessment")
    return found


async def check_standing(session: AsyncSession, actor: Actor) -> None:
    """Locks whoever writes about somebody else in share mode: their erasure is seen here, or finds what they wrote.

    Raises:
        Erased: they are being erased.
    """
    status = select(UserRow.status).where(UserRow.id == actor.id).with_for_update(read=True)
    if await session.scalar(status) in ERASED:
        raise Erased("The account is being erased")


def _feedback_rows(receipt: FeedbackReceipt, assessment: Assessment, actor: Actor, feedback: Feedback) -> Rows:
    return {
        FeedbackRow: [
            {
                "id": receipt.feedback_id,
                "recommendation_id": receipt.recommendation_id,
                "revision": receipt.revision,
                "credential_id": feedback.credential_id,
                "submitted_by": actor.id,
                "submitted_by_role": actor.role,
                "relevance_score": feedback.relevance_score,
                "acceptance_status": feedback.acceptance_status,
                "comments": feedback.comments,
                "submitted_at": receipt.submitted_at,
            }
        ],
        MetricSnapshotRow: [
            {
                "id": derived_id("metric", SATISFACTION, receipt.feedback_id),
                "assessment_id": assessment.id,
                "metric_type": SATISFACTION,
                "value": Decimal(feedback.relevance_score),
                "context": {"recommendation_id": receipt.recommendation_id, "revision": receipt.revision},
                "captured_at": receipt.submitted_at,
            }
        ],
    }
