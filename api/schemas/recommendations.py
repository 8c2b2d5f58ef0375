"""What people make of a recommendation."""

from typing import Literal

from pydantic import Field

from api.schemas.base import Comment, Id, Input, Moment, Output


class RecommendationFeedbackRequest(Input):
    relevance_score: int = Field(ge=1, le=5, examples=[4])
    acceptance_status: Literal["accepted", "rejected", "pending"] | None = None
    comments: Comment = Field(default=None, max_length=4000)
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


class Feedback(Output):
    """What one person said. `comments` is absent where there were none, and where their author was erased."""

    feedback_id: Id
    revision: int = Field(description="The result it speaks of")
    credential_id: Id | None = Field(default=None, description="The item it speaks of; absent: all of them")
    submitted_by: Id
    submitted_by_role: Literal["student", "advisor"]
    relevance_score: int
    acceptance_status: Literal["accepted", "rejected", "pending"] | None = None
    comments: str | None = None
    submitted_at: Moment = Field(validation_alias="created_at")


class FeedbackList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[Feedback]
    next_cursor: str | None = None
