"""Schemas of feedback on recommendations."""

from typing import Literal

from pydantic import Field

from api.schemas.base import Comment, Id, Input, Moment, Output


class RecommendationFeedbackRequest(Input):
    relevance_score: int = Field(ge=1, le=5, examples=[4])
    acceptance_status: Literal["accepted", "rejected", "pending"] | None = None
    comments: Comment = Field(default=None, max_length=4000)
    submitted_by_role: Literal["student", "advisor"] | None = Field(
        default=None, description="Taken from the token. A different value is rejected"
    )
    credential_id: Id | None = Field(default=None, description="One of the recommended items. Absent: all of them")


class RecommendationFeedbackResponse(Output):
    """The stored feedback. Earlier feedback remains. `revision` is the revision of the result that it refers to."""

    feedback_id: Id
    recommendation_id: Id
    revision: int
    submitted_at: Moment


class Feedback(Output):
    """The feedback of one user. `comments` is absent if the user wrote no comment or was erased."""

    feedback_id: Id
    revision: int = Field(description="The revision of the result that it refers to")
    credential_id: Id | None = Field(default=None, description="The item that it refers to. Absent: all of them")
    submitted_by: Id | None = Field(
        default=None,
        description="Absent for advisors and admins if the giver is a student, the organization reviews blindly and an "
        "essay of the assessment waits for a review",
    )
    submitted_by_role: Literal["student", "advisor"]
    relevance_score: int
    acceptance_status: Literal["accepted", "rejected", "pending"] | None = None
    comments: str | None = None
    submitted_at: Moment = Field(validation_alias="created_at")


class FeedbackList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[Feedback]
    next_cursor: str | None = None
