"""Cohorts and their members."""

from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError

from api.dependencies import PrincipalDep, Services, ServicesDep
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors, query_of
from api.pages.forms import FormDep
from api.pages.people_list import PeopleQuery
from api.pages.rendering import render, see_other
from api.pages.routes.admin.people import organization_of
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.routes.users import UserQuery
from api.schemas.base import Id
from api.schemas.cohorts import CohortRequest
from api.schemas.cursors import PageQuery
from api.security.authorization import actor_of
from api.security.tokens import Principal
from api.services.use_cases import require
from persistence.queries.people_views import PeopleScope, UserFilter

cohorts = page_router(prefix="/admin/cohorts")


@cohorts.get("")
async def cohorts_page(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    return await _cohorts(request, services, principal)


@cohorts.post("")
async def create_cohort_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    try:
        wanted = CohortRequest.model_validate({"name": form.get("name", "")})
        async with services.database.transaction() as uow:
            view = await uow.cohorts.create(organization_of(principal), actor_of(principal), wanted.name)
            await uow.commit()
    except REFUSALS as error:
        return await _cohorts(request, services, principal, field_errors(error, _labels()), form.get("name", ""))
    return see_other(f"/admin/cohorts/{view.cohort_id}", done="cohort_created")


@cohorts.get("/{cohort_id}")
async def cohort_page(request: Request, cohort_id: Id, services: ServicesDep, principal: PrincipalDep) -> Response:
    return await _cohort(request, cohort_id, services, principal)


@cohorts.post("/{cohort_id}/name")
async def rename_cohort_form(
    request: Request, cohort_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    try:
        wanted = CohortRequest.model_validate({"name": form.get("name", "")})
        async with services.database.transaction() as uow:
            await uow.cohorts.rename(cohort_id, organization_of(principal), actor_of(principal), wanted.name)
            await uow.commit()
    except REFUSALS as error:
        return await _cohort(request, cohort_id, services, principal, field_errors(error, _labels()))
    return see_other(f"/admin/cohorts/{cohort_id}", done="cohort_renamed")


@cohorts.post("/{cohort_id}/delete")
async def delete_cohort_form(cohort_id: Id, services: ServicesDep, principal: PrincipalDep) -> Response:
    async with services.database.transaction() as uow:
        await uow.cohorts.delete(cohort_id, organization_of(principal), actor_of(principal))
        await uow.commit()
    return see_other("/admin/cohorts", done="cohort_deleted")


@cohorts.post("/{cohort_id}/members")
async def add_member_form(
    request: Request, cohort_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Add the student with an e-mail address."""
    organization_id = organization_of(principal)
    scope = PeopleScope(organization_id=organization_id)
    try:
        wanted = UserQuery.model_validate({"email": form.get("email", "").strip()})
        found = await services.people.queries.users(scope, UserFilter(email=wanted.email), 1)
    except ValidationError:
        found = []
    if not found:
        problem = gettext("No person of your organization has this e-mail address.")
        return await _cohort(request, cohort_id, services, principal, [("email", problem)], form.get("email", ""))
    try:
        async with services.database.transaction() as uow:
            await uow.cohorts.add_members(cohort_id, organization_id, actor_of(principal), [found[0].user_id])
            await uow.commit()
    except REFUSALS as error:
        errors = [("email", problem) for _, problem in field_errors(error, {})]
        return await _cohort(request, cohort_id, services, principal, errors, form.get("email", ""))
    return see_other(f"/admin/cohorts/{cohort_id}", done="member_added")


@cohorts.post("/{cohort_id}/members/{user_id}/remove")
async def remove_member_form(cohort_id: Id, user_id: Id, services: ServicesDep, principal: PrincipalDep) -> Response:
    async with services.database.transaction() as uow:
        await uow.cohorts.remove_member(cohort_id, organization_of(principal), actor_of(principal), user_id)
        await uow.commit()
    return see_other(f"/admin/cohorts/{cohort_id}", done="member_removed")


def _labels() -> dict[str, str]:
    return {"name": gettext("Name")}


async def _cohorts(
    request: Request,
    services: Services,
    principal: Principal,
    errors: FieldErrors | None = None,
    name: str = "",
) -> Response:
    query, _ = query_of(request, PageQuery, {})
    views = await services.people.cohorts.cohorts(organization_of(principal), query.after, query.limit + 1)
    shown, next_cursor = query.page(views, lambda last: last.cohort_id)
    return render(
        request,
        "admin/cohorts.html",
        400 if errors else 200,
        title=gettext("Cohorts"),
        cohorts=shown,
        next_cursor=next_cursor,
        is_first=query.cursor is None,
        errors=errors or [],
        name=name,
    )


async def _cohort(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request,
    cohort_id: UUID,
    services: Services,
    principal: Principal,
    errors: FieldErrors | None = None,
    email: str = "",
) -> Response:
    organization_id = organization_of(principal)
    view = require(await services.people.cohorts.cohort(cohort_id, organization_id), "No such cohort")
    query, _ = query_of(request, PeopleQuery, {})
    query = query.model_copy(update={"sort": "name"})
    scope, found = PeopleScope(organization_id=organization_id), UserFilter(cohort_id=cohort_id)
    views = await services.people.queries.sorted_users(scope, found, query.order, query.position, query.limit + 1)
    members = views[: query.limit]
    return render(
        request,
        "admin/cohort.html",
        400 if errors else 200,
        title=view.name,
        cohort=view,
        members=members,
        next_cursor=query.cursor_after(members[-1]) if len(views) > query.limit else None,
        is_first=query.cursor is None,
        errors=errors or [],
        email=email,
    )
