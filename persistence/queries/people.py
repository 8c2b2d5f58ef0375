"""Read queries about organizations and users. No result has a password hash."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, literal, select

from persistence.queries.email_addresses import has_email
from persistence.queries.people_order import PeopleOrder, PeoplePosition
from persistence.queries.people_search import is_called, is_member
from persistence.queries.people_views import HeldView, OrganizationView, PeopleScope, UserFilter, UserView
from persistence.queries.reader import Position, Reader, Selected, equal_to, newest
from persistence.tables import CredentialRow, LearnerCredentialRow, OrganizationRow, UserRow
from persistence.tables.base import table_of

_organizations: Final = table_of(OrganizationRow).c
_users: Final = table_of(UserRow).c
_held: Final = table_of(LearnerCredentialRow).c
_credentials: Final = table_of(CredentialRow).c

ORGANIZATION_COLUMNS: Final = (
    _organizations.id.label("organization_id"),
    _organizations.name,
    _organizations.created_at,
)
"""The columns of an OrganizationView."""

USER_COLUMNS: Final = (
    _users.id.label("user_id"),
    _users.organization_id,
    _users.email,
    _users.name,
    _users.external_id,
    _users.role,
    _users.status,
    _users.time_factor,
    _users.extra_minutes,
    _users.created_at,
    _users.updated_at,
    _users.last_sign_in_at,
)
"""The columns of a UserView."""


class PeopleQueries(Reader):
    async def organizations(self, after: Position | None, limit: int) -> list[OrganizationView]:
        """Return at most `limit` organizations, newest first."""
        every = select(*ORGANIZATION_COLUMNS)
        page = newest(every, _organizations.created_at, _organizations.id, after, limit)
        return await self._all(OrganizationView, page)

    async def organization(self, organization_id: UUID) -> OrganizationView | None:
        return await self._one(
            OrganizationView, select(*ORGANIZATION_COLUMNS).where(_organizations.id == organization_id)
        )

    async def users(self, viewer: PeopleScope, found: UserFilter, limit: int) -> list[UserView]:
        """Return at most `limit` users, newest first."""
        matching = people_of(viewer).where(*_matching(found))
        return await self._all(UserView, newest(matching, _users.created_at, _users.id, found.after, limit))

    async def sorted_users(
        self, viewer: PeopleScope, found: UserFilter, order: PeopleOrder, after: PeoplePosition | None, limit: int
    ) -> list[UserView]:
        """Return at most `limit` users in an order, those after a position. `found.after` does not count."""
        return await self._all(UserView, order.page(people_of(viewer).where(*_matching(found)), after, limit))

    async def user(self, user_id: UUID, viewer: PeopleScope) -> UserView | None:
        return await self._one(UserView, people_of(viewer).where(_users.id == user_id))

    async def held(self, user_id: UUID, after: Position | None, limit: int) -> list[HeldView]:
        """Return at most `limit` credentials that the user holds, the newest entry first."""
        statement = (
            select(_held.credential_id, _credentials.title, _held.earned_at, _held.created_at)
            .join(CredentialRow, _credentials.id == _held.credential_id)
            .where(_held.user_id == user_id)
        )
        return await self._all(HeldView, newest(statement, _held.created_at, _held.credential_id, after, limit))


def people_of(viewer: PeopleScope) -> Selected:
    """Select the users inside the viewer's scope. Every query uses it, so that none omits a condition.

    Erased users are excluded.
    """
    people = select(*USER_COLUMNS).where(_users.status != "erased")
    if viewer.organization_id is not None:
        people = people.where(_users.organization_id == viewer.organization_id)
    if viewer.user_id is not None:
        people = people.where(_users.id == viewer.user_id)
    if viewer.role is not None:
        people = people.where(_users.role == literal(viewer.role, literal_execute=True))  # matches the index of admins
    return people


def _matching(found: UserFilter) -> list[ColumnElement[bool]]:
    conditions = equal_to(
        {
            _users.organization_id: found.organization_id,
            _users.role: found.role,
            _users.status: found.status,
            _users.external_id: found.external_id,
        }
    )
    if found.email is not None:
        conditions.append(has_email(found.email))
    if found.q is not None:
        conditions.append(is_called(found.q))
    if found.cohort_id is not None:
        conditions.append(is_member(_users.id, found.cohort_id))
    return conditions
