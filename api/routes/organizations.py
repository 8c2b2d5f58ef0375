"""Organizations. Platform admins create them with their first admin."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query, Response
from pydantic import BeforeValidator, Field

from api.dependencies import PrincipalDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas import cursors
from api.schemas.base import QueryInput, digits
from api.schemas.errors import answers
from api.schemas.people import Organization, OrganizationList, OrganizationRequest, OrganizationWithAdmin, User
from api.security.authorization import actor_of
from api.services.accounts import first_admin
from api.services.people import PeopleService
from persistence.request_database import RequestUnitOfWork

organizations = router(prefix="/organizations", tags=["Organizations"])


@organizations.post(
    "",
    status_code=201,
    response_model=OrganizationWithAdmin,
    summary="Create an organization with its first admin",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_organization(
    body: OrganizationRequest, services: ServicesDep, principal: PrincipalDep, command: IdempotencyDep
) -> Response:
    """409 if an account already has the admin's e-mail address."""
    first = await first_admin(body, services.passwords)

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        organization, admin = await PeopleService(uow).create_organization(body.name, first, actor_of(principal))
        return CommandResult(response=OrganizationWithAdmin(**asdict(organization), admin=User.model_validate(admin)))

    return await command.execute(services.database, create)


class OrganizationQuery(QueryInput):
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


@organizations.get("", summary="List organizations", responses=answers(400, 401, 403), response_model_exclude_none=True)
async def list_organizations(query: Annotated[OrganizationQuery, Query()], services: ServicesDep) -> OrganizationList:
    """Newest first."""
    after = cursors.decode(query.cursor) if query.cursor else None
    views = await services.people.queries.organizations(after, query.limit + 1)
    page, next_cursor = cursors.page(views, query.limit, lambda last: last.organization_id)
    return OrganizationList(items=[Organization.model_validate(view) for view in page], next_cursor=next_cursor)
