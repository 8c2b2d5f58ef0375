"""Store a reviewer's levels of an essay. A stored review never changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Item
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.tables import EssayReviewRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedReview:
    """`levels` has the level of each criterion of the item's rubric.

    `audit_sample`: the essay was in the review queue as a part of the audit sample.
    """

    id: UUID
    item: Item
    levels: Mapping[str, str]
    comment: str | None
    audit_sample: bool
    created_at: datetime


class SubmittedReviews(Repository):
    async def add(self, assessment: Assessment, review: SubmittedReview, reviewer: Actor) -> None:
        row = {
            "id": review.id,
            "assessment_id": assessment.id,
            "question_snapshot_id": review.item.snapshot_id,
            "reviewer_id": reviewer.id,
            "levels": dict(review.levels),
            "comment": review.comment,
            "audit_sample": review.audit_sample,
            "created_at": review.created_at,
        }
        await self._session.execute(insert(EssayReviewRow), [row])

    async def record(
        self, assessment: Assessment, review: SubmittedReview, reviewer: Actor, *, confirmed: bool
    ) -> None:
        """Write the review's audit row. `confirmed`: the reviewer kept the published levels."""
        await audit.record(
            self._session,
            reviewer,
            "essay.reviewed",
            "assessment",
            assessment.id,
            assessment.organization_id,
            review_id=review.id,
            question_id=review.item.question.id,
            revision=assessment.revision,
            confirmed=confirmed,
        )
