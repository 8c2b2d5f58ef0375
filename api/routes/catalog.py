"""Read, search and import roles and micro-credentials."""

from typing import Annotated, Final
from uuid import UUID

import structlog
from fastapi import Query, Response
from pydantic import AfterValidator, BeforeValidator, Field

from api.dependencies import CatalogServices, PrincipalDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.middleware.strict_json import JSON, StrictRequest, parse_json
from api.schemas.base import Id, QueryInput, digits
from api.schemas.catalog import (
    IMPORT_BODY,
    Credential,
    CredentialList,
    ImportResponse,
    RoleList,
    RoleResponse,
    SearchItem,
    SearchResponse,
)
from api.schemas.csv_body import CSV
from api.schemas.errors import answers
from api.security.tokens import Principal, UserRole
from api.services.catalog_imports import EmbeddingStart, read_csv
from api.services.use_cases import require
from domain.errors import ExternalServiceError, InvalidInput, Problem
from domain.recommending.ports import SearchResult
from persistence.content.catalog_rows import Reading, read_rows
from persistence.request_database import RequestUnitOfWork

FETCHED: Final = 2
"""Hits fetched per hit wanted, because the index may still contain credentials that Postgres lists as withdrawn."""
WORDS_ONLY: Final = "words_only"

log = structlog.get_logger(__name__)

roles = router(prefix="/roles", tags=["Roles"])
credentials = router(prefix="/catalog/credentials", tags=["Catalog"])
searches = router(prefix="/catalog/search", tags=["Catalog"])
imports = router(prefix="/catalog/imports", tags=["Catalog"])


def _words(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("must contain a word")
    return value


class CredentialQuery(QueryInput):
    role_id: Id | None = Field(default=None, description="Only credentials that teach a target skill of the role")
    page: Annotated[int, BeforeValidator(digits)] = Field(default=1, ge=1, le=100_000)
    page_size: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=10, le=100)


class SearchQuery(QueryInput):
    q: Annotated[str, AfterValidator(_words)] = Field(min_length=1, max_length=500, description="Free text")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=10, ge=1, le=50)


@roles.get("", summary="List role tracks", responses=answers(401, 403))
async def list_roles(services: ServicesDep, principal: PrincipalDep) -> RoleList:
    """For students each role has `own_attempts`: how many attempts are left and when the next may start."""
    student_id = _student(principal)
    roles = await services.queries.roles(student_id)
    return RoleList(items=[RoleResponse.of(role, student=student_id is not None) for role in roles])


@roles.get("/{role_id}", summary="Get a role track", responses=answers(400, 401, 403, 404))
async def read_role(role_id: Id, services: ServicesDep, principal: PrincipalDep) -> RoleResponse:
    student_id = _student(principal)
    role = require(await services.queries.role(role_id, student_id), "No such role")
    return RoleResponse.of(role, student=student_id is not None)


def _student(principal: Principal) -> UUID | None:
    return principal.user_id if principal.role is UserRole.STUDENT else None


@credentials.get("", summary="List credential catalog entries", responses=answers(400, 401, 403))
async def list_credentials(query: Annotated[CredentialQuery, Query()], services: ServicesDep) -> CredentialList:
    found, total = await services.queries.credentials(query.role_id, page=query.page, page_size=query.page_size)
    items = [Credential.model_validate(credential) for credential in found]
    return CredentialList(items=items, page=query.page, page_size=query.page_size, total=total)


@credentials.get("/{credential_id}", summary="Get a credential", responses=answers(400, 401, 403, 404))
async def read_credential(credential_id: Id, services: ServicesDep) -> Credential:
    credential = require(await services.queries.credential(credential_id), "No such credential")
    return Credential.model_validate(credential)


@searches.get("", summary="Search the catalog by meaning and by words", responses=answers(400, 401, 403))
async def search_credentials(query: Annotated[SearchQuery, Query()], services: ServicesDep) -> SearchResponse:
    """A worker embeds the query. Without a worker's response within two seconds, the search uses keywords only."""
    catalog = services.catalog
    found = await _by_meaning(catalog, query)
    if found is None:
        shown = await catalog.queries.active(await catalog.queries.by_words(query.q, query.limit))
        items = [SearchItem(credential=Credential.model_validate(each)) for each in shown]
        return SearchResponse(items=items, degraded=True, degraded_reason=WORDS_ONLY)
    (hits,) = found.hits
    similarity = {hit.credential_id: hit.similarity for hit in hits}
    shown = (await catalog.queries.active(list(similarity)))[: query.limit]
    return SearchResponse(
        items=[
            SearchItem(credential=Credential.model_validate(each), similarity=similarity[each.id]) for each in shown
        ],
        degraded=found.degraded_reason is not None,
        degraded_reason=found.degraded_reason,
    )


async def _by_meaning(catalog: CatalogServices, query: SearchQuery) -> SearchResult | None:
    search_id = await catalog.queries.keep_words(query.q)
    try:
        return await catalog.searches.search(search_id, limit=FETCHED * query.limit)
    except ExternalServiceError:
        log.warning("search_by_words_only", search_id=str(search_id))
        await catalog.queries.forget_words(search_id)
        return None


@imports.post(
    "",
    status_code=201,
    summary="Import credentials",
    response_model=ImportResponse,
    responses=answers(400, 401, 403, 409, 413, 415, 422),
    openapi_extra=IMPORT_BODY,
)
async def import_credentials(request: StrictRequest, command: IdempotencyDep) -> Response:
    """Import all rows or none, with a report per row. A workflow embeds them afterwards. See docs/catalog.md."""
    reading = await request.parsed({JSON: _read_json, CSV: read_csv})
    embedding = EmbeddingStart(command.services.catalog)

    async def add(uow: RequestUnitOfWork) -> CommandResult:
        view = await uow.catalog_imports.add(reading, command.actor)
        return CommandResult(response=ImportResponse.model_validate(view), after_commit=[embedding.after(view)])

    return await command.execute(add, on_replay=embedding.start)


@imports.get("/{import_id}", summary="Get an import", responses=answers(400, 401, 403, 404))
async def read_import(import_id: Id, services: ServicesDep) -> ImportResponse:
    view = require(await services.catalog.queries.import_(import_id), "No such import")
    return ImportResponse.model_validate(view)


def _read_json(body: bytes) -> Reading:
    match parse_json(body):
        case {"credentials": list(entries), **rest} if not rest:
            return read_rows(entries)
    raise InvalidInput(
        "The request is not valid", (Problem("body", "must be {credentials: [...]} without other fields"),)
    )
