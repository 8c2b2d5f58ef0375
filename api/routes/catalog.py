"""Roles and micro-credentials."""

from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator, Field

from api.routing import router
from api.schemas.catalog import Credential, CredentialList, RoleList, RoleResponse
from api.schemas.errors import answers
from api.services import Use
from api.wire import Id, QueryInput, digits
from domain.errors import NotFound

roles = router(prefix="/roles", tags=["Roles"])
credentials = router(prefix="/catalog/credentials", tags=["Catalog"])


class CredentialQuery(QueryInput):
    role_id: Id | None = Field(default=None, description="Keeps credentials that teach a skill the role targets")
    page: Annotated[int, BeforeValidator(digits)] = Field(default=1, ge=1, le=100_000)
    page_size: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=10, le=100)


@roles.get("", summary="List role tracks", responses=answers(401))
async def list_roles(services: Use) -> RoleList:
    return RoleList(items=[RoleResponse.model_validate(role) for role in await services.queries.roles()])


@roles.get("/{role_id}", summary="Get a role track", responses=answers(400, 401, 404))
async def read_role(role_id: Id, services: Use) -> RoleResponse:
    role = await services.queries.role(role_id)
    if role is None:
        raise NotFound("No such role")
    return RoleResponse.model_validate(role)


@credentials.get(
    "", summary="List credential catalog entries", responses=answers(400, 401, 403), response_model_exclude_none=True
)
async def list_credentials(query: Annotated[CredentialQuery, Query()], services: Use) -> CredentialList:
    found, total = await services.queries.credentials(query.role_id, page=query.page, page_size=query.page_size)
    items = [Credential.model_validate(credential) for credential in found]
    return CredentialList(items=items, page=query.page, page_size=query.page_size, total=total)


@credentials.get(
    "/{credential_id}",
    summary="Get a credential",
    responses=answers(400, 401, 404),
    response_model_exclude_none=True,
)
async def read_credential(credential_id: Id, services: Use) -> Credential:
    credential = await services.queries.credential(credential_id)
    if credential is None:
        raise NotFound("No such credential")
    return Credential.model_validate(credential)
