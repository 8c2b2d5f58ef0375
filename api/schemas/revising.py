"""What people do about a result."""

from typing import Literal, Self

from pydantic import Field, model_validator

from api.schemas.base import Comment, Id, Input, Output


class ReviewRequest(Input):
    """Either `levels` or `confirm`."""

    levels: dict[str, str] | None = Field(
        default=None,
        description="A level for every criterion of the question's rubric, by its key",
        examples=[{"diagnosis": "solid", "communication": "clear"}],
    )
    confirm: bool = Field(default=False, description="The levels of the published score stand")
    comment: Comment = Field(
        default=None, max_length=4000, description="The student reads it in place of the grader's feedback"
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.confirm == (self.levels is not None):
            raise ValueError("must have either levels or confirm")
        return self


class ReviewResponse(Output):
    """`revision` is the result that was reviewed; a later one holds the review."""

    review_id: Id
    assessment_id: Id
    question_id: Id
    revision: int


class RetryResponse(Output):
    """`revision` is the result that is being healed."""

    assessment_id: Id
    revision: int
    healing: Literal["due"]


class RerunResponse(Output):
    """`run` counts from 1."""

    assessment_id: Id
    status: Literal["awaiting_async"]
    run: int
