"""Roles and micro-credentials: read, searched, imported."""

from functools import partial
from typing import Annotated, Final

import structlog
from fastapi import Query, Response
from pydantic import AfterValidator, BeforeValidator, Field

from api.dependencies import Caller, Catalogue, ServicesDep
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
from api.schemas.csv_body import CSV, parse_csv
from api.schemas.errors import answers
from api.security.authorization import actor_of
from api.workflow_engine import told
from domain.errors import ExternalServiceError, InvalidInput, NotFound, Problem
from domain.recommending.ports import SearchResult
from persistence.catalog_intake import CatalogIntakeUnit
from persistence.content.catalog_rows import Reading, read_rows
from persistence.queries.catalog_views import ImportView

FETCHED: Final = 2
"""So many times more hits than are wanted: an index may still hold what Postgres says is withdrawn."""
WORDS_ONLY: Final = "words_only"

log = structlog.get_logger(__name__)

roles = router(prefix="/roles", tags=["Roles"])
credentials = router(prefix="/catalog/credentials", tags=["Catalog"])
searches = router(prefix="/catalog/search", tags=["Catalog"])
imports = router(prefix="/catalog/imports", tags=["Catalog"])


def _words(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("must hold a word")
    return value


class CredentialQuery(QueryInput):
    role_id: Id | None = Field(default=None, description="Keeps credentials that teach a skill the role targets")
    page: Annotated[int, BeforeValidator(digits)] = Field(default=1, ge=1, le=100_000)
    page_size: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=10, le=100)


class SearchQuery(QueryInput):
    q: Annotated[str, AfterValidator(_words)] = Field(min_length=1, max_length=500, description="In anybody's words")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=10, ge=1, le=50)


@roles.get("", summary="List role tracks", responses=answers(401, 403))
async def list_roles(services: ServicesDep) -> RoleList:
    return RoleList(items=[RoleResponse.model_validate(role) for role in await services.queries.roles()])


@roles.get("/{role_id}", summary="Get a role track", responses=answers(400, 401, 403, 404))
async def read_role(role_id: Id, services: ServicesDep) -> RoleResponse:
    role = await services.queries.role(role_id)
    if role is None:
        raise NotFound("No such role")
    return RoleResponse.model_validate(role)


@credentials.get(
    "", summary="List credential catalog entries", responses=answers(400, 401, 403), response_model_exclude_none=True
)
async def list_credentials(query: Annotated[CredentialQuery, Query()], services: ServicesDep) -> CredentialList:
    found, total = await services.queries.credentials(query.role_id, page=query.page, page_size=query.page_size)
    items = [Credential.model_validate(credential) for credential in found]
    return CredentialList(items=items, page=query.page, page_size=query.page_size, total=total)


@credentials.get(
    "/{credential_id}",
    summary="Get a credential",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def read_credential(credential_id: Id, services: ServicesDep) -> Credential:
    credential = await services.queries.credential(credential_id)
    if credential is None:
        raise NotFound("No such credential")
    return Credential.model_validate(credential)


@searches.get(
    "",
    summary="Search the catalog by meaning and by words",
    responses=answers(400, 401, 403),
    response_model_exclude_none=True,
)
async def search_credentials(query: Annotated[SearchQuery, Query()], services: ServicesDep) -> SearchResponse:
    """A worker embeds the query; where none answers within two seconds, words alone are searched for."""
    catalogue = services.catalogue
    found = await _by_meaning(catalogue, query)
    if found is None:
        shown = await catalogue.queries.active(await catalogue.queries.by_words(query.q, query.limit))
        items = [SearchItem(credential=Credential.model_validate(each)) for each in shown]
        return SearchResponse(items=items, degraded=True, degraded_reason=WORDS_ONLY)
    (hits,) = found.hits
    similarity = {hit.credential_id: hit.similarity for hit in hits}
    shown = (await catalogue.queries.active(list(similarity)))[: query.limit]
    return SearchResponse(
        items=[
            SearchItem(credential=Credential.model_validate(each), similarity=similarity[each.id]) for each in shown
        ],
        degraded=found.degraded_reason is not None,
        degraded_reason=found.degraded_reason,
    )


async def _by_meaning(catalogue: Catalogue, query: SearchQuery) -> SearchResult | None:
    search_id = await catalogue.queries.keep_words(query.q)
    try:
        return await catalogue.searches.search(search_id, limit=FETCHED * query.limit)
    except ExternalServiceError:
        log.warning("search_by_words_only", search_id=str(search_id))
        await catalogue.queries.forget_words(search_id)
        return None


@imports.post(
    "",
    status_code=201,
    summary="Import credentials",
    response_model=ImportResponse,
    responses=answers(400, 401, 403, 409, 413, 415, 422),
    openapi_extra=IMPORT_BODY,
)
async def import_credentials(
    request: StrictRequest, services: ServicesDep, caller: Caller, once: IdempotencyDep
) -> Response:
    """All rows or none, with a report per row; vectors follow by a workflow. See docs/catalog.md."""
    reading = await request.parsed({JSON: _read_json, CSV: _read_csv})
    catalogue = services.catalogue

    async def start(_: ImportView) -> None:
        await catalogue.runs.start()

    async def add(uow: CatalogIntakeUnit) -> CommandResult:
        view = await uow.imports.add(reading, actor_of(caller))
        return CommandResult(answer=ImportResponse.model_validate(view), tell=[partial(told, start, view)])

    return await once.do(catalogue.intake, add, again=start)


@imports.get(
    "/{import_id}",
    summary="Get an import",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def read_import(import_id: Id, services: ServicesDep) -> ImportResponse:
    view = await services.catalogue.queries.import_(import_id)
    if view is None:
        raise NotFound("No such import")
    return ImportResponse.model_validate(view)


def _read_csv(body: bytes) -> Reading:
    table = parse_csv(body)
    detected = {"encoding": table.detected.encoding, "delimiter": table.detected.delimiter_name}
    return read_rows(table.rows, detected)


def _read_json(body: bytes) -> Reading:
    match parse_json(body):
        case {"credentials": list(entries), **rest} if not rest:
            return read_rows(entries)
    raise InvalidInput("The request is not valid", (Problem("body", "must be {credentials: [...]}, and nothing else"),))
