"""One person: change, disable, set a password, export and erase."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.dependencies import PeopleScopeDep, PrincipalDep, Services, ServicesDep
from api.pages.edits import changed, hidden_fields, hidden_fields_of
from api.pages.form_errors import REFUSALS, FieldErrors, decimal_number, field_errors, whole_number
from api.pages.forms import Form, FormDep
from api.pages.permissions import may_open
from api.pages.rendering import render, see_other
from api.pages.routes.admin.people import labels
from api.pages.routing import page_router
from api.pages.texts import exact, gettext
from api.schemas.base import Id
from api.schemas.people import UserChange
from api.security.authorization import actor_of
from api.security.tokens import Principal
from api.services.accounts import change_account, erase_account
from api.services.use_cases import require
from persistence.queries.people_views import PeopleScope, UserView
from persistence.repositories.account_links import LinkView

person = page_router(prefix="/admin/people/{user_id}")


@person.get("")
async def person_page(
    request: Request, user_id: Id, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    return await show_person(request, user_id, services, principal, scope)


@person.post("")
async def change_person_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, user_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Change name, external id and role. An empty name or external id deletes it."""
    changes: dict[str, Any] = {name: form.get(name, "").strip() or None for name in ("name", "external_id")}
    person = await found(user_id, services, scope)
    if form.get("role") not in {None, person.role}:  # an unchanged role must not count as a change of the role
        changes["role"] = form["role"]
    return await _change(request, user_id, changes, form, services, principal, scope, "person_changed")


@person.post("/status")
async def person_status_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, user_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Disable or enable the account."""
    status = form.get("status", "")
    done = "person_disabled" if status == "disabled" else "person_enabled"
    return await _change(request, user_id, {"status": status}, form, services, principal, scope, done)


@person.post("/time")
async def person_time_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, user_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Give a student more time for new assessments."""
    changes = {
        "time_factor": decimal_number(form.get("time_factor", "")),
        "extra_minutes": whole_number(form.get("extra_minutes", "")),
    }
    return await _change(request, user_id, changes, form, services, principal, scope, "person_time_saved")


@person.post("/password")
async def person_password_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, user_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Set an initial password. The person must choose another one at the next sign-in."""
    changes = {"password": form.get("password", "")}
    return await _change(request, user_id, changes, form, services, principal, scope, "person_password_set")


@person.get("/export")
async def person_export(
    user_id: Id, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> StreamingResponse:
    exports = services.privacy.exports
    await exports.begin(user_id, scope, actor_of(principal))
    return StreamingResponse(
        exports.document(user_id),
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{user_id}.json"'},
    )


@person.get("/erase")
async def erase_person_page(request: Request, user_id: Id, services: ServicesDep, scope: PeopleScopeDep) -> Response:
    return await _erase(request, await found(user_id, services, scope))


@person.post("/erase")
async def erase_person_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, user_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Erase the person if the form repeats the name, or without a name the e-mail address."""
    person = await found(user_id, services, scope)
    if " ".join(form.get("confirmation", "").split()) != confirmation_of(person):
        return await _erase(request, person, [("confirmation", gettext("This is not what you were asked to type."))])
    try:
        await erase_account(user_id, services, scope, actor_of(principal))
    except REFUSALS as error:
        return await _erase(request, person, field_errors(error, {}))
    return see_other("/admin/people", done="person_erased")


def confirmation_of(person: UserView) -> str:
    """Return what an admin types before the person is erased."""
    return person.name or person.email


async def found(user_id: UUID, services: Services, scope: PeopleScope) -> UserView:
    return require(await services.people.queries.user(user_id, scope), "No such user")


async def _change(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request,
    user_id: UUID,
    sent: dict[str, Any],
    form: Form,
    services: Services,
    principal: Principal,
    scope: PeopleScope,
    done: str,
) -> Response:
    try:
        if changes := changed(sent, form):
            change = UserChange.model_validate(changes)
            await change_account(user_id, change, services, scope, actor_of(principal))
    except REFUSALS as error:
        errors = field_errors(error, labels())
        return await show_person(
            request, user_id, services, principal, scope, errors, sent, hidden=hidden_fields_of(form, sent)
        )
    return see_other(f"/admin/people/{user_id}", done=done)


async def show_person(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request,
    user_id: UUID,
    services: Services,
    principal: Principal,
    scope: PeopleScope,
    errors: FieldErrors | None = None,
    sent: dict[str, Any] | None = None,
    *,
    hidden: dict[str, str] | None = None,
) -> Response:
    """`sent` and `hidden`: the fields of a refused form, to show it again."""
    view = await found(user_id, services, scope)
    stored = {name: getattr(view, name) for name in ("name", "external_id", "role", "time_factor", "extra_minutes")}
    given = stored | (sent or {})
    unchanged = stored | {"time_factor": decimal_number(exact(view.time_factor))}
    return render(
        request,
        "admin/person.html",
        400 if errors else 200,
        title=view.name or view.email,
        person=view,
        given={name: _entered(value) for name, value in given.items() if name != "password"},
        hidden=hidden_fields(unchanged) | (hidden or {}),
        errors=errors or [],
        is_self=view.user_id == principal.user_id,
        may_change_role=principal.organization_id is not None,
        may_export=may_open(principal, "person_export"),
        may_mail=services.settings.may_mail,
        link=await link_of(view.user_id, services),
    )


def _entered(value: object) -> object:
    """Return a value as it is entered in the form."""
    return exact(value) if isinstance(value, Decimal) else "" if value is None else value


async def link_of(user_id: UUID, services: Services) -> LinkView | None:
    """Return the newest link of a person. The caller has found the person in the viewer's scope."""
    async with services.database.transaction() as uow:
        return await uow.account_links.of(user_id)


async def _erase(request: Request, view: UserView, errors: FieldErrors | None = None) -> Response:
    return render(
        request,
        "admin/erase_person.html",
        400 if errors else 200,
        title=gettext("Erase %(person)s") % {"person": view.name or view.email},
        person=view,
        confirmation=confirmation_of(view),
        errors=errors or [],
    )
