"""Parameter and result types of queries about organizations and users."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from domain.accommodations import TimeAccommodation


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleScope:
    """The users that a viewer may see: those of one organization, or of all organizations with None.

    `user_id` restricts the scope to one user, `role` to users with that role.
    """

    organization_id: UUID | None
    user_id: UUID | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationView:
    organization_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """A user. `organization_id` None: a platform admin. `time_factor` and `extra_minutes` are a TimeAccommodation."""

    user_id: UUID
    organization_id: UUID | None
    email: str
    name: str | None
    external_id: str | None
    role: str
    status: str
    time_factor: Decimal
    extra_minutes: int
    created_at: datetime
    updated_at: datetime
    last_sign_in_at: datetime | None = None

    @property
    def accommodation(self) -> TimeAccommodation:
        return TimeAccommodation(time_factor=self.time_factor, extra_minutes=self.extra_minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldView:
    """A credential that a user holds; `created_at` is when it was recorded."""

    credential_id: UUID
    title: str
    earned_at: date
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """A filter; conditions are combined with AND. `after` is the (created_at, id) of the previous page's last row.

    `q` is a part of the name or of the e-mail address.
    """

    organization_id: UUID | None = None
    role: str | None = None
    status: str | None = None
    email: str | None = None
    external_id: str | None = None
    q: str | None = None
    cohort_id: UUID | None = None
    after: tuple[datetime, UUID] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortView:
    """A cohort; `members` is the number of its members."""

    cohort_id: UUID
    name: str
    members: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortMemberView:
    """A member of a cohort; `created_at` is when the member was added."""

    user_id: UUID
    email: str
    name: str | None
    external_id: str | None
    status: str
    created_at: datetime
