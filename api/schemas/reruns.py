"""Schemas of reruns of many failed assessments."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from api.schemas.base import Id, Input, Moment, Output

MAX_RERUNS: Final = 1000


class RerunsRequest(Input):
    """The failed assessments to run again: either `assessment_ids`, or a filter. Its fields are combined with AND."""

    assessment_ids: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_RERUNS)
    status: Literal["failed"] | None = Field(default=None, description="Required for a filter")
    failure_reason: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, examples=["UnexpectedError"]
    )
    since: Moment | None = Field(default=None, description="Failed at this time or later")
    role_id: Id | None = None
    limit: int = Field(default=MAX_RERUNS, ge=1, le=MAX_RERUNS, description="Oldest failures first")

    @model_validator(mode="after")
    def _either(self) -> Self:
        filtered = {"status", "failure_reason", "since", "role_id", "limit"} & self.model_fields_set
        if (self.assessment_ids is None) == (self.status is None) or (self.assessment_ids is not None and filtered):
            raise ValueError('must have either assessment_ids or a filter with status: "failed"')
        return self


class StartedRerun(Output):
    """`run` is the number of the new run, from 1."""

    assessment_id: Id
    run: int


class SkippedRerun(Output):
    """`not_found`: no such assessment. `not_failed`: it has not failed. `expired`: it expired without an answer.

    `error`: an error about this assessment only, with `error_code` and `message`.
    """

    assessment_id: Id
    reason: Literal["not_found", "not_failed", "expired", "error"]
    error_code: str | None = None
    message: str | None = None


class RerunsResponse(Output):
    """What is run again and what is not. `more`: the filter matches more assessments; repeat the request."""

    rerun: list[StartedRerun]
    skipped: list[SkippedRerun]
    more: bool
