"""The users of an organization and the credentials that they hold."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Response
from pydantic import BeforeValidator, Field

from api.dependencies import PeopleScopeDep, PrincipalDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas import cursors
from api.schemas.base import Id, QueryInput, digits
from api.schemas.errors import answers
from api.schemas.people import (
    EMAIL,
    HeldCredential,
    HeldCredentialList,
    HeldCredentialRequest,
    Role,
    User,
    UserChange,
    UserList,
    UserRequest,
)
from api.security.authorization import actor_of
from domain.email_addresses import MAX_CHARS
from domain.errors import Forbidden, InvalidInput, NotFound, Problem
from domain.passwords import find_weakness
from persistence.queries.people_views import PeopleScope, UserFilter
from persistence.repositories.people import NewUser, no_such_organization
from persistence.request_database import RequestUnitOfWork

users = router(prefix="/users", tags=["People"])


@users.post(
    "",
    status_code=201,
    response_model=User,
    summary="Create an account",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_user(
    body: UserRequest, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep, command: IdempotencyDep
) -> Response:
    """409 if an account of any organization already has the e-mail address.

    A platform admin must name the organization and can create only admins.
    """
    organization_id = _organization(body, scope)
    password_hash = await services.passwords.hash(body.password.get_secret_value())
    new = NewUser(email=body.email, role=body.role, password_hash=password_hash)

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        return CommandResult(
            response=User.model_validate(await uow.people.create(organization_id, actor_of(principal), new))
        )

    return await command.execute(services.database, create)


class UserQuery(QueryInput):
    role: Role | None = None
    status: Literal["active", "disabled", "erasing"] | None = None
    email: str | None = Field(default=None, max_length=MAX_CHARS, pattern=EMAIL)
    organization_id: Id | None = None
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


@users.get("", summary="List accounts", responses=answers(400, 401, 403), response_model_exclude_none=True)
async def list_users(query: Annotated[UserQuery, Query()], services: ServicesDep, scope: PeopleScopeDep) -> UserList:
    """List the organization's accounts, or for platform admins the admins of all organizations. Newest first."""
    filters = UserFilter(
        **query.model_dump(exclude={"cursor", "limit"}), after=cursors.decode(query.cursor) if query.cursor else None
    )
    views = await services.people.queries.users(scope, filters, query.limit + 1)
    page, next_cursor = cursors.page(views, query.limit, lambda last: last.user_id)
    return UserList(items=[User.model_validate(view) for view in page], next_cursor=next_cursor)


@users.get(
    "/{user_id}", summary="Read an account", responses=answers(400, 401, 403, 404), response_model_exclude_none=True
)
async def read_user(user_id: Id, services: ServicesDep, scope: PeopleScopeDep) -> User:
    view = await services.people.queries.user(user_id, scope)
    if view is None:
        raise NotFound("No such user")
    return User.model_validate(view)


@users.patch(
    "/{user_id}",
    summary="Change an account's role, password or groups, disable or enable it",
    responses=answers(400, 401, 403, 404, 409, 410, 413, 415),
    response_model_exclude_none=True,
)
async def change_user(
    user_id: Id, change: UserChange, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> User:
    """A new role, status or password invalidates refresh tokens at once and access tokens within a minute.

    409 if no admin would remain, or for groups of a user who is no student.

    After a new password, the user must choose another one with `POST /me/password` before any other request. Users
    change their own password there too. Platform admins can change accounts of admins but not their roles.
    """
    changes = change.model_dump(exclude_unset=True, exclude={"password", "groups"})
    if "password" in change.model_fields_set:
        password = await _checked_password(user_id, change.password.get_secret_value(), services, principal, scope)
        changes["password_hash"] = await services.passwords.hash(password)
    async with services.database.transaction() as uow:
        if "groups" in change.model_fields_set:
            await uow.people.set_groups(user_id, scope, actor_of(principal), change.groups)
        view = await uow.people.change(user_id, scope, actor_of(principal), changes)
        await uow.commit()
    services.principals.forget(user_id)
    return User.model_validate(view)


class HeldQuery(QueryInput):
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


@users.get(
    "/{user_id}/credentials",
    summary="List the credentials that a user holds",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def list_held_credentials(
    user_id: Id, query: Annotated[HeldQuery, Query()], services: ServicesDep, scope: PeopleScopeDep
) -> HeldCredentialList:
    """Credentials that a user holds are not recommended to that user."""
    if await services.people.queries.user(user_id, scope) is None:
        raise NotFound("No such user")
    after = cursors.decode(query.cursor) if query.cursor else None
    views = await services.people.queries.held(user_id, after, query.limit + 1)
    page, next_cursor = cursors.page(views, query.limit, lambda last: last.credential_id)
    return HeldCredentialList(items=[HeldCredential.model_validate(view) for view in page], next_cursor=next_cursor)


@users.post(
    "/{user_id}/credentials",
    status_code=201,
    response_model=HeldCredential,
    summary="Record that a user holds a credential",
    responses=answers(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def add_held_credential(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    user_id: Id,
    held: HeldCredentialRequest,
    services: ServicesDep,
    principal: PrincipalDep,
    scope: PeopleScopeDep,
    command: IdempotencyDep,
) -> Response:
    """409 if it is recorded already. Students record their own credentials, advisors and admins their users'."""

    async def add(uow: RequestUnitOfWork) -> CommandResult:
        view = await uow.people.hold(user_id, scope, actor_of(principal), held.credential_id, held.earned_at)
        return CommandResult(response=HeldCredential.model_validate(view))

    return await command.execute(services.database, add)


async def _checked_password(
    user_id: UUID, password: str, services: ServicesDep, principal: PrincipalDep, scope: PeopleScope
) -> str:
    """Return the password if the principal may set it for this account.

    Raises:
        NotFound: the account does not exist or is outside the scope.
        InvalidInput: the account is the principal's own, or the password contains its e-mail address.
    """
    if user_id == principal.user_id:
        raise _invalid("password", "must be changed with POST /me/password for your own account")
    person = await services.people.queries.user(user_id, scope)
    if person is None:
        raise NotFound("No such user")
    if problem := find_weakness(password, person.email):
        raise _invalid("password", problem)
    return password


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))


def _organization(body: UserRequest, scope: PeopleScope) -> UUID:
    """Return the new account's organization. One outside the scope looks like one that does not exist.

    Raises:
        Forbidden: a platform admin requested a role other than admin.
    """
    if scope.organization_id is None:
        if body.organization_id is None:
            raise _invalid("organization_id", "is required")
        if body.role != scope.role:
            raise Forbidden("Platform admins create admins of organizations only")
        return body.organization_id
    if body.organization_id not in (None, scope.organization_id):
        raise no_such_organization()
    return scope.organization_id
