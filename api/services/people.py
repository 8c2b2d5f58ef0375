"""Create organizations and accounts, change accounts, and record the credentials that users hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from api.security.passwords import Passwords
from api.services.use_cases import UseCases, require
from domain.errors import Forbidden, InvalidInput, Problem
from domain.passwords import find_weakness
from persistence.queries.people import PeopleQueries
from persistence.queries.people_views import HeldView, OrganizationView, PeopleScope, UserView
from persistence.queries.views import Actor
from persistence.repositories.people import NewUser, no_such_organization


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordReset:
    """Check and hash the password that an admin sets for another user, before the transaction that stores it."""

    people: PeopleQueries
    passwords: Passwords

    async def hash(self, user_id: UUID, password: str, scope: PeopleScope, admin: Actor) -> str:
        """Return the password's hash.

        Raises:
            NotFound: the account does not exist or is outside the scope.
            InvalidInput: the account is the admin's own, or the password contains its e-mail address.
            TemporarilyUnavailable: too many passwords are being hashed.
        """
        if user_id == admin.id:
            raise _invalid("password", "must be changed with POST /me/password for your own account")
        person = require(await self.people.user(user_id, scope), "No such user")
        if problem := find_weakness(password, person.email):
            raise _invalid("password", problem)
        return await self.passwords.hash(password)


class PeopleService(UseCases):
    """Use cases of one transaction. The caller commits."""

    async def create_organization(
        self, name: str, first_admin: NewUser, creator: Actor
    ) -> tuple[OrganizationView, UserView]:
        """Create an organization with its first admin.

        Raises:
            Conflict: an account already has the e-mail address.
        """
        return await self._uow.people.found(creator, name, first_admin)

    async def create_user(
        self, new: NewUser, scope: PeopleScope, creator: Actor, organization_id: UUID | None = None
    ) -> UserView:
        """Create a user of the admin's organization. A platform admin names the organization and creates only admins.

        Raises:
            InvalidInput: the organization is missing, does not exist, or is outside the scope.
            Forbidden: a platform admin requested a role other than admin.
            Conflict: an account of any organization already has the e-mail address, or another user of the
                organization has the external id.
        """
        return await self._uow.people.create(_organization(organization_id, new.role, scope), creator, new)

    async def change_user(
        self, user_id: UUID, scope: PeopleScope, admin: Actor, changes: Mapping[str, object]
    ) -> UserView:
        """Change an account's name, external id, time accommodation, role, status or password hash.

        A change of the first three alone does not end the user's sessions.

        Raises:
            NotFound: the account does not exist or is outside the scope.
            Erased: the user is being erased.
            Forbidden: a platform admin would change a role.
            Conflict: no active admin would remain, a platform admin would get another role, another user of the
                organization has the external id, or the user of an accommodation is no student.
        """
        return await self._uow.people.change(user_id, scope, admin, changes)

    async def add_credential(
        self, user_id: UUID, scope: PeopleScope, actor: Actor, credential_id: UUID, earned_at: date
    ) -> HeldView:
        """Record that a user holds a credential.

        Raises:
            NotFound: the account does not exist or is outside the scope.
            Erased: the user is being erased.
            InvalidInput: the credential does not exist.
            Conflict: it is recorded already.
        """
        return await self._uow.people.hold(user_id, scope, actor, credential_id, earned_at)


def _organization(named: UUID | None, role: str, scope: PeopleScope) -> UUID:
    """Return the new account's organization. One outside the scope looks like one that does not exist."""
    if scope.organization_id is None:
        if named is None:
            raise _invalid("organization_id", "is required")
        if role != scope.role:
            raise Forbidden("Platform admins create admins of organizations only")
        return named
    if named not in (None, scope.organization_id):
        raise no_such_organization()
    return scope.organization_id


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))
