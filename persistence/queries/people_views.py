"""What queries about people take and give."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleScope:
    """Whose people somebody sees: one organization's, or with None those of all organizations.

    `user_id` narrows that to one person, `role` to people of one role.
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
    """`organization_id` None: a platform admin."""

    user_id: UUID
    organization_id: UUID | None
    email: str
    role: str
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldView:
    """A credential that somebody holds; `created_at` is when we were told."""

    credential_id: UUID
    title: str
    earned_at: date
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """All that is set must hold. `after` is the (created_at, id) of the last row of the page before."""

    organization_id: UUID | None = None
    role: str | None = None
    status: str | None = None
    email: str | None = None
    after: tuple[datetime, UUID] | None = None
