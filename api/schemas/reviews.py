"""Schemas of essay reviews, healing retries and reruns."""

from typing import Literal, Self

from pydantic import Field, model_validator

from api.schemas.base import Comment, Id, Input, Output


class ReviewRequest(Input):
    """A review of an essay, with either `levels` or `confirm`."""

    levels: dict[str, str] | None = Field(
        default=None,
        description="The level of every criterion of the question's rubric, by the criterion's key",
        examples=[{"diagnosis": "solid", "communication": "clear"}],
    )
    confirm: bool = Field(default=False, description="`true` confirms the levels of the published score")
    comment: Comment = Field(
        default=None, max_length=4000, description="For the student: with the levels it replaces the grader's feedback"
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.confirm == (self.levels is not None):
            raise ValueError("must have either levels or confirm")
        return self


class ReviewResponse(Output):
    """`revision` is the reviewed revision of the result. A later revision contains the review."""

    review_id: Id
    assessment_id: Id
    question_id: Id
    revision: int


class RetryResponse(Output):
    """`revision` is the revision of the result that healing retries."""

    assessment_id: Id
    revision: int
    healing: Literal["due"]


class RerunResponse(Output):
    """`run` is the number of the new run, from 1."""

    assessment_id: Id
    status: Literal["awaiting_async"]
    run: int
