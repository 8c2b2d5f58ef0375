"""The users of an organization and the credentials that they hold."""

from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import Field

from api.dependencies import PeopleScopeDep, PrincipalDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.people import (
    EMAIL,
    ExternalId,
    HeldCredential,
    HeldCredentialList,
    HeldCredentialRequest,
    Role,
    SearchText,
    User,
    UserChange,
    UserList,
    UserRequest,
)
from api.security.authorization import actor_of
from api.services.accounts import change_account, new_user
from api.services.people import PeopleService
from api.services.use_cases import require
from domain.email_addresses import MAX_CHARS
from domain.errors import NotFound
from persistence.queries.people_views import UserFilter
from persistence.request_database import RequestUnitOfWork

users = router(prefix="/users", tags=["People"])


@users.post(
    "",
    status_code=201,
    response_model=User,
    summary="Create an account",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_user(body: UserRequest, scope: PeopleScopeDep, command: IdempotencyDep) -> Response:
    """409 if an account of any organization has the e-mail address, or another user of this one the external id.

    A platform admin must name the organization and can create only admins.
    """
    new = await new_user(body, command.services.passwords)

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        view = await PeopleService(uow).create_user(new, scope, command.actor, body.organization_id)
        return CommandResult(response=User.model_validate(view))

    return await command.execute(create)


class UserQuery(PageQuery):
    role: Role | None = None
    status: Literal["active", "disabled", "erasing"] | None = None
    email: str | None = Field(default=None, max_length=MAX_CHARS, pattern=EMAIL)
    external_id: ExternalId | None = None
    q: SearchText | None = None
    cohort_id: Id | None = None
    organization_id: Id | None = None


@users.get("", summary="List accounts", responses=answers(400, 401, 403))
async def list_users(query: Annotated[UserQuery, Query()], services: ServicesDep, scope: PeopleScopeDep) -> UserList:
    """List the organization's accounts, or for platform admins the admins of all organizations. Newest first."""
    filters = UserFilter(**query.filters())
    views = await services.people.queries.users(scope, filters, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.user_id)
    return UserList(items=[User.model_validate(view) for view in page], next_cursor=next_cursor)


@users.get("/{user_id}", summary="Read an account", responses=answers(400, 401, 403, 404))
async def read_user(user_id: Id, services: ServicesDep, scope: PeopleScopeDep) -> User:
    view = require(await services.people.queries.user(user_id, scope), "No such user")
    return User.model_validate(view)


@users.patch(
    "/{user_id}",
    summary="Change an account: name, external id, role, password, groups, time accommodation, disable or enable it",
    responses=answers(400, 401, 403, 404, 409, 410, 413, 415),
)
async def change_user(
    user_id: Id, change: UserChange, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> User:
    """A change of name, external id, groups or time accommodation alone does not end the user's sessions.

    After other changes, refresh tokens become invalid at once, access tokens within a minute. 409 if no admin would
    remain, if another user of the organization has the external id, or for groups or more time of a user who is no
    student.

    After a new password, the user must choose another one with `POST /me/password` before any other request. Users
    change their own password there too. Platform admins can change accounts of admins but not their roles.
    """
    view = await change_account(user_id, change, services, scope, actor_of(principal))
    return User.model_validate(view)


@users.get(
    "/{user_id}/credentials",
    summary="List the credentials that a user holds",
    responses=answers(400, 401, 403, 404),
)
async def list_held_credentials(
    user_id: Id, query: Annotated[PageQuery, Query()], services: ServicesDep, scope: PeopleScopeDep
) -> HeldCredentialList:
    """Credentials that a user holds are not recommended to that user."""
    if await services.people.queries.user(user_id, scope) is None:
        raise NotFound("No such user")
    views = await services.people.queries.held(user_id, query.after, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.credential_id)
    return HeldCredentialList(items=[HeldCredential.model_validate(view) for view in page], next_cursor=next_cursor)


@users.post(
    "/{user_id}/credentials",
    status_code=201,
    response_model=HeldCredential,
    summary="Record that a user holds a credential",
    responses=answers(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def add_held_credential(
    user_id: Id, held: HeldCredentialRequest, scope: PeopleScopeDep, command: IdempotencyDep
) -> Response:
    """409 if it is recorded already. Students record their own credentials, advisors and admins their users'."""

    async def add(uow: RequestUnitOfWork) -> CommandResult:
        service, actor = PeopleService(uow), command.actor
        view = await service.add_credential(user_id, scope, actor, held.credential_id, held.earned_at)
        return CommandResult(response=HeldCredential.model_validate(view))

    return await command.execute(add)
