"""List, search and create people."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from api.dependencies import PeopleScopeDep, PrincipalDep, Services, ServicesDep
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors, parameters, query_of
from api.pages.forms import Form, FormDep
from api.pages.people_list import NEWEST, PeopleQuery, headings, orders
from api.pages.permissions import may_open
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.schemas.people import UserRequest
from api.security.authorization import actor_of
from api.security.tokens import Principal
from api.services.accounts import new_user
from api.services.people import PeopleService
from persistence.queries.people_views import CohortView, OrganizationView

MAX_OPTIONS: Final = 100
"""Cohorts and organizations that a form offers."""

_FIELDS: Final = ("email", "role", "name", "external_id", "organization_id")
"""Fields of a new person that the form shows again. The password is not among them."""

people = page_router(prefix="/admin/people")


def labels() -> dict[str, str]:
    """Return the names of the fields of a person on the pages."""
    return {
        "email": gettext("E-mail address"),
        "password": gettext("Initial password"),
        "role": gettext("Role"),
        "name": gettext("Name"),
        "external_id": gettext("External id"),
        "time_factor": gettext("Time factor"),
        "extra_minutes": gettext("Extra minutes"),
        "organization_id": gettext("Organization"),
        "q": gettext("Search"),
        "status": gettext("Status"),
        "cohort_id": gettext("Cohort"),
        "sort": gettext("Sort by"),
    }


@people.get("")
async def people_page(
    request: Request, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    query, errors = query_of(request, PeopleQuery, labels())
    if scope.organization_id is None:
        query = query.model_copy(update={"sort": NEWEST})  # the indexes of the other orders are by organization
    order, after = query.order, query.position
    views = await services.people.queries.sorted_users(scope, query.wanted, order, after, query.limit + 1)
    shown = views[: query.limit]
    return render(
        request,
        "admin/people.html",
        400 if errors else 200,
        title=gettext("People"),
        errors=errors,
        filters=query,
        parameters=parameters(query),
        people=shown,
        next_cursor=query.cursor_after(shown[-1]) if len(views) > query.limit else None,
        headings=headings(query, sortable=scope.organization_id is not None),
        orders=orders() if scope.organization_id else [],
        cohorts=await cohort_options(services, principal),
        may_import=may_open(principal, "roster_page"),
    )


@people.get("/new")
async def new_person_page(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    return await _new(
        request, services, principal, {"organization_id": request.query_params.get("organization_id", "")}
    )


@people.post("/new")
async def create_person_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    try:
        wanted = UserRequest.model_validate(_sent(form))
        new = await new_user(wanted, services.passwords)
        async with services.database.transaction() as uow:
            view = await PeopleService(uow).create_user(new, scope, actor_of(principal), wanted.organization_id)
            await uow.commit()
    except REFUSALS as error:
        return await _new(request, services, principal, form, field_errors(error, labels()))
    return see_other(f"/admin/people/{view.user_id}", done="person_created" if wanted.password else "person_invited")


async def cohort_options(services: Services, principal: Principal) -> list[CohortView]:
    """Return the cohorts that a form offers; none for those who may not list cohorts."""
    if not may_open(principal, "cohorts_page") or principal.organization_id is None:
        return []
    return await services.people.cohorts.cohorts(principal.organization_id, None, MAX_OPTIONS)


def _sent(form: Form) -> dict[str, Any]:
    typed = {name: form[name].strip() for name in _FIELDS if form.get(name)}
    return typed | ({"password": form["password"]} if form.get("password") else {})


async def _new(
    request: Request,
    services: Services,
    principal: Principal,
    given: Mapping[str, str],
    errors: FieldErrors | None = None,
) -> Response:
    organizations: list[OrganizationView] = []
    if principal.organization_id is None:
        organizations = await services.people.queries.organizations(None, MAX_OPTIONS)
    return render(
        request,
        "admin/new_person.html",
        400 if errors else 200,
        title=gettext("Add a person"),
        given={name: given.get(name, "") for name in _FIELDS},
        organizations=organizations,
        errors=errors or [],
    )


def organization_of(principal: Principal) -> UUID:
    """Return the organization of an admin whose page platform admins may not open."""
    assert principal.organization_id is not None  # noqa: S101  # checked by the page's permission
    return principal.organization_id
