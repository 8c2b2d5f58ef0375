"""Schemas of appeals."""

from datetime import datetime
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from api.schemas.base import Comment, Id, Input, Output, VisibleText, boolean
from api.schemas.cursors import PageQuery

MAX_CHARS = 2000

State: TypeAlias = Literal["open", "upheld", "rejected", "withdrawn"]


class AppealRequest(Input):
    question_id: Id = Field(description="An answered essay of the assessment")
    reason: VisibleText = Field(
        min_length=1,
        max_length=MAX_CHARS,
        description="Why the grade is wrong. Advisors and admins of the organization read it",
        examples=["My third paragraph explains how I check the numbers before the change."],
    )


class AppealAnswerRequest(Input):
    """An answer to an appeal. `upheld` needs `levels`; `rejected` needs a `message`."""

    outcome: Literal["upheld", "rejected"]
    levels: dict[str, str] | None = Field(
        default=None,
        description="For `upheld`: the level of every criterion of the question's rubric, by the criterion's key",
        examples=[{"diagnosis": "solid", "communication": "clear"}],
    )
    message: Comment = Field(default=None, max_length=MAX_CHARS, description="The answer to the student")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.outcome == "upheld") != (self.levels is not None):
            raise ValueError("must have levels if the outcome is upheld, and none otherwise")
        if self.outcome == "rejected" and self.message is None:
            raise ValueError("must have a message if the outcome is rejected")
        return self


class Appeal(Output):
    """An appeal of the grade that `revision` of the result has. Only advisors and admins see `answered_by`.

    `published_revision` is the revision that contains the new levels of an upheld appeal; it appears within seconds.
    `reason` and `message` are deleted together with the answers of the assessment. `user_id` is absent for advisors and
    admins while the appeal is open, if the organization reviews blindly.
    """

    appeal_id: Id
    assessment_id: Id
    question_id: Id
    role_id: Id
    user_id: Id | None = None
    state: State
    reason: str | None = None
    revision: int
    created_at: datetime
    answer_due_at: datetime = Field(description="Without an answer by this time, the appeal is marked as overdue")
    reminded_at: datetime | None = None
    overdue_at: datetime | None = None
    closed_at: datetime | None = None
    message: str | None = None
    answered_by: Id | None = None
    published_revision: int | None = None


class AppealList(Output):
    items: list[Appeal]
    next_cursor: str | None = None


class AppealQuery(PageQuery):
    state: State | None = None
    role_id: Id | None = None
    overdue: Annotated[bool | None, BeforeValidator(boolean)] = Field(
        default=None, description="`true`: open appeals without an answer in time; `false`: all others"
    )
