"""Store feedback on a recommendation."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import select

from domain.assessments.lifecycle import Assessment
from domain.ids import derived_id
from persistence.queries.release import visible_revision
from persistence.queries.scope import seen_by
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.bulk import Rows, insert_rows
from persistence.tables import AssessmentRow, FeedbackRow, MetricSnapshotRow, RecommendationRow, ResultRevisionRow

SATISFACTION: Final = "satisfaction"
"""The metric of feedback: a relevance score, 1 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeedback:
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


class SubmittedFeedback(Repository):
    async def assessment_of(self, recommendation_id: UUID, scope: AccessScope) -> UUID | None:
        """Read the id of the recommendation's assessment; None if it does not exist or is outside the scope.

        A held result does not exist for a viewer who may not see it.
        """
        found = (
            select(AssessmentRow.id)
            .join(RecommendationRow, RecommendationRow.assessment_id == AssessmentRow.id)
            .where(RecommendationRow.id == recommendation_id, *seen_by(scope), visible_revision(held=scope.held) > 0)
        )
        assessment_id: UUID | None = await self._session.scalar(found)
        return assessment_id

    async def has_item(self, assessment: Assessment, credential_id: UUID) -> bool:
        """Tell whether the result of the assessment's `revision` recommends the credential."""
        item = {"recommendation_items": [{"credential_id": str(credential_id)}]}
        found = select(ResultRevisionRow.revision).where(
            ResultRevisionRow.assessment_id == assessment.id,
            ResultRevisionRow.revision == assessment.revision,
            ResultRevisionRow.document.contains(item),
        )
        return await self._session.scalar(found) is not None

    async def add(
        self, recommendation_id: UUID, assessment: Assessment, now: datetime, actor: Actor, feedback: NewFeedback
    ) -> FeedbackReceipt:
        """Store feedback on the assessment's `revision`, with its audit row and its satisfaction metric."""
        receipt = FeedbackReceipt(
            feedback_id=uuid4(),
            recommendation_id=recommendation_id,
            revision=assessment.revision,
            submitted_at=now,
        )
        await insert_rows(self._session, _feedback_rows(receipt, assessment, actor, feedback))
        about = ("feedback.given", "recommendation", recommendation_id, assessment.organization_id)
        details = {"feedback_id": receipt.feedback_id, "revision": receipt.revision}
        await audit.record(self._session, actor, *about, **details)
        return receipt


def _feedback_rows(receipt: FeedbackReceipt, assessment: Assessment, actor: Actor, feedback: NewFeedback) -> Rows:
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
