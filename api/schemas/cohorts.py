"""Schemas of cohorts and their members."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from api.schemas.base import Id, Input, Moment, Output
from domain.people import MAX_NAME_CHARS, normalize_name

MAX_ADDED: Final = 500

CohortName = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_CHARS, examples=["Spring 2026"]), AfterValidator(normalize_name)
]


class CohortRequest(Input):
    """The name is unique in the organization. Upper and lower case differ."""

    name: CohortName


class AddedMembers(Input):
    user_ids: list[Id] = Field(min_length=1, max_length=MAX_ADDED)


class Cohort(Output):
    """`members` is the number of its members."""

    cohort_id: Id
    name: str
    members: int
    created_at: Moment
    updated_at: Moment


class CohortList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[Cohort]
    next_cursor: str | None = None


class CohortMember(Output):
    user_id: Id
    email: str
    name: str | None = None
    external_id: str | None = None
    status: Literal["active", "disabled", "erasing"]
    added_at: Moment = Field(validation_alias="created_at")


class CohortMemberList(Output):
    """The last added first. `next_cursor` is absent on the last page."""

    items: list[CohortMember]
    next_cursor: str | None = None
