"""Prepare, change and erase accounts: use cases that hash a password or end sessions."""

from uuid import UUID

from api.dependencies import Services
from api.schemas.people import OrganizationRequest, UserChange, UserRequest
from api.security.passwords import Passwords
from api.services.people import PasswordReset, PeopleService
from api.workflow_engine import notify_engine
from persistence.queries.people_views import PeopleScope, UserView
from persistence.queries.views import Actor
from persistence.repositories.people import NewUser


async def new_user(wanted: UserRequest, passwords: Passwords) -> NewUser:
    """Hash the password of a new account, if it has one. Raises TemporarilyUnavailable if too many are being hashed."""
    password = wanted.password.get_secret_value() if wanted.password else None
    return NewUser(
        email=wanted.email,
        role=wanted.role,
        password_hash=await passwords.hash(password) if password is not None else None,
        name=wanted.name,
        external_id=wanted.external_id,
    )


async def first_admin(wanted: OrganizationRequest, passwords: Passwords) -> NewUser:
    """Hash the password of an organization's first admin. Raises as `new_user` does."""
    password_hash = await passwords.hash(wanted.admin.password.get_secret_value())
    return NewUser(email=wanted.admin.email, role="admin", password_hash=password_hash)


async def change_account(
    user_id: UUID, change: UserChange, services: Services, scope: PeopleScope, admin: Actor
) -> UserView:
    """Change an account. A change of role, status or password ends the user's sessions.

    Raises as `PasswordReset.hash` and `PeopleService.change_user` do.
    """
    changes = change.model_dump(exclude_unset=True, exclude={"password", "groups"})
    if "password" in change.model_fields_set:
        reset = PasswordReset(people=services.people.queries, passwords=services.passwords)
        changes["password_hash"] = await reset.hash(user_id, change.password.get_secret_value(), scope, admin)
    async with services.database.transaction() as uow:
        if "groups" in change.model_fields_set:
            await uow.people.set_groups(user_id, scope, admin, change.groups)
        view = await PeopleService(uow).change_user(user_id, scope, admin, changes)
        await uow.commit()
    services.principals.forget(user_id)
    return view


async def erase_account(user_id: UUID, services: Services, scope: PeopleScope, admin: Actor) -> None:
    """Begin the erasure of a user. It cannot be undone. A repeated call has no further effect.

    Raises:
        NotFound: the account does not exist or is outside the scope.
        Conflict: no active admin would remain.
    """
    async with services.database.transaction() as uow:
        erasure = await uow.erasures.begin(
            user_id,
            organization_id=scope.organization_id,
            role=scope.role,
            actor_id=admin.id,
            actor_role=admin.role,
        )
        await uow.commit()
    services.principals.forget(user_id)
    await notify_engine(services.privacy.runs.start, erasure)
