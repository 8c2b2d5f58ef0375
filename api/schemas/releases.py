"""Schemas of releases of held results."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.schemas.base import Id, Input, Moment, Output
from api.services.releases import MAX_RELEASES


class ReleaseResponse(Output):
    """`revision` is the revision that the student sees now."""

    assessment_id: Id
    revision: int
    released: Literal[True]
    released_at: Moment


class HeldResults(Input):
    """A filter of held results; conditions are combined with AND. An empty filter selects all held results."""

    role_id: Id | None = None
    user_id: Id | None = None
    needs_review: bool | None = Field(default=None, description="`false`: only results without a waiting item")
    since: Moment | None = Field(default=None, description="Started at this time or later")


class ReleasesRequest(Input):
    """Held results to release, by either `ids` or `filter`."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_RELEASES)] | None = None
    filter: HeldResults | None = Field(
        default=None, description=f"The first {MAX_RELEASES} held results that match, oldest assessments first"
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("must have either ids or filter")
        return self


class Unreleased(Output):
    """A result that this request did not release.

    `review_pending`: a review is being published; repeat the request in a few seconds. `unavailable`: the database
    failed; repeat the request. `error`: an error about this result only, with `error_code` and `message`.
    """

    assessment_id: Id
    reason: Literal["already_released", "not_found", "no_result", "review_pending", "unavailable", "error"]
    error_code: str | None = None
    message: str | None = None


class ReleasesResponse(Output):
    """What the request released. Repeat it while `more` is true."""

    released: list[Id]
    not_released: list[Unreleased]
    more: bool = Field(description="`true`: the filter matches more held results than one request releases")
