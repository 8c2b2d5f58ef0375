"""Organizations. Platform admins create them with their first admin."""

from typing import Annotated

from fastapi import Query, Response

from api.dependencies import ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.people import Organization, OrganizationList, OrganizationRequest, OrganizationWithAdmin
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
async def create_organization(body: OrganizationRequest, command: IdempotencyDep) -> Response:
    """409 if an account already has the admin's e-mail address."""
    first = await first_admin(body, command.services.passwords)

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        organization, admin = await PeopleService(uow).create_organization(body.name, first, command.actor)
        return CommandResult(response=OrganizationWithAdmin.read(organization, admin=admin))

    return await command.execute(create)


@organizations.get("", summary="List organizations", responses=answers(400, 401, 403))
async def list_organizations(query: Annotated[PageQuery, Query()], services: ServicesDep) -> OrganizationList:
    """Newest first."""
    views = await services.people.queries.organizations(query.after, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.organization_id)
    return OrganizationList(items=[Organization.model_validate(view) for view in page], next_cursor=next_cursor)
