"""What people make of a recommendation."""

from typing import Literal

from pydantic import Field

from api.wire import Id, Input, Moment, Output


class RecommendationFeedbackRequest(Input):
    relevance_score: int = Field(ge=1, le=5, examples=[4])
    acceptance_status: Literal["accepted", "rejected", "pending"] | None = None
    comments: str | None = Field(default=None, max_length=4000)
    submitted_by_role: Literal["student", "advisor"] | None = Field(
        default=None, description="Comes from the token; a body that says otherwise is refused"
    )
    credential_id: Id | None = Field(default=None, description="One of the recommended items; absent: all of them")


class RecommendationFeedbackResponse(Output):
    """Every feedback is kept; `revision` is the result it speaks of."""

    feedback_id: Id
    recommendation_id: Id
    revision: int
    submitted_at: Moment
