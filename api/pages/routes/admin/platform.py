"""Pages of platform admins: organizations with their spending, and imports of the catalogue."""

import asyncio
from typing import Any, Final

from fastapi import Request, Response

from api.dependencies import PrincipalDep, Services, ServicesDep
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors, query_of, table_errors
from api.pages.forms import Form, FormDep
from api.pages.problem_texts import translated
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.pages.uploads import UploadDep
from api.schemas.base import Id
from api.schemas.cursors import PageQuery
from api.schemas.people import OrganizationRequest
from api.security.authorization import actor_of
from api.services.accounts import first_admin
from api.services.catalog_imports import EmbeddingStart, read_csv
from api.services.people import PeopleService
from api.services.use_cases import require
from api.workflow_engine import notify_all
from persistence.content.catalog_rows import MAX_ROWS

SHOWN_IMPORTS: Final = 20
SHOWN_SPENDING: Final = 50
SHOWN_ROWS: Final = 1_000
"""Rows in the report of an import; those with warnings come first."""

platform = page_router(prefix="/platform")


@platform.get("/organizations")
async def organizations_page(request: Request, services: ServicesDep) -> Response:
    query, _ = query_of(request, PageQuery, {})
    views = await services.people.queries.organizations(query.after, query.limit + 1)
    shown, next_cursor = query.page(views, lambda last: last.organization_id)
    return render(
        request,
        "admin/organizations.html",
        title=gettext("Organizations"),
        organizations=shown,
        next_cursor=next_cursor,
        is_first=query.cursor is None,
        spending=await services.pages.admin.spending_by_organization(SHOWN_SPENDING),
        budget=services.settings.essay_budget_cents_per_day,
    )


@platform.get("/organizations/new")
async def new_organization_page(request: Request) -> Response:
    return _new(request, {})


@platform.post("/organizations/new")
async def create_organization_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Create an organization with its first admin."""
    try:
        wanted = OrganizationRequest.model_validate(_sent(form))
        first = await first_admin(wanted, services.passwords)
        async with services.database.transaction() as uow:
            await PeopleService(uow).create_organization(wanted.name, first, actor_of(principal))
            await uow.commit()
    except REFUSALS as error:
        return _new(request, form, field_errors(error, _labels()))
    return see_other("/platform/organizations", done="organization_created")


@platform.get("/catalog")
async def catalog_page(request: Request, services: ServicesDep) -> Response:
    return await _catalog(request, services)


@platform.post("/catalog")
async def catalog_import_form(
    request: Request, upload: UploadDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Import all rows of a CSV or none."""
    if not upload:
        return await _catalog(request, services, [("file", gettext("Choose a CSV file."))])
    try:
        reading = await asyncio.to_thread(read_csv, upload)
        async with services.database.transaction() as uow:
            view = await uow.catalog_imports.add(reading, actor_of(principal))
            await uow.commit()
    except REFUSALS as error:
        return await _catalog(request, services, table_errors(error))
    await notify_all([EmbeddingStart(services.catalog).after(view)])
    return see_other(f"/platform/catalog/imports/{view.id}", done="catalog_imported")


@platform.get("/catalog/imports/{import_id}")
async def catalog_import_page(request: Request, import_id: Id, services: ServicesDep) -> Response:
    view = require(await services.catalog.queries.import_(import_id), "No such import")
    ordered = sorted(view.rows, key=lambda row: (not row["warnings"], row["row"]))
    return render(
        request,
        "admin/catalog_import.html",
        title=gettext("Catalogue import"),
        report=view,
        rows=ordered[:SHOWN_ROWS],
        hidden=max(0, len(ordered) - SHOWN_ROWS),
        translated=translated,
    )


def _sent(form: Form) -> dict[str, Any]:
    return {
        "name": form.get("name", "").strip(),
        "admin": {"email": form.get("email", "").strip(), "password": form.get("password", "")},
    }


def _labels() -> dict[str, str]:
    return {
        "name": gettext("Name"),
        "email": gettext("E-mail address"),
        "password": gettext("Initial password"),
    }


def _new(request: Request, given: Form, errors: FieldErrors | None = None) -> Response:
    return render(
        request,
        "admin/new_organization.html",
        400 if errors else 200,
        title=gettext("Add an organization"),
        given={name: given.get(name, "") for name in ("name", "email")},
        errors=errors or [],
    )


async def _catalog(request: Request, services: Services, errors: FieldErrors | None = None) -> Response:
    return render(
        request,
        "admin/catalog.html",
        400 if errors else 200,
        title=gettext("Catalogue"),
        imports=await services.pages.admin.imports(SHOWN_IMPORTS),
        max_rows=MAX_ROWS,
        errors=errors or [],
    )
