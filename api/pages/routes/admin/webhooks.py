"""Webhook endpoints: create, change, rotate the secret, test, recover, delete. A secret is shown once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args
from uuid import UUID

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.edits import changed, hidden_fields, hidden_fields_of
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors, whole_number
from api.pages.forms import Form, FormDep
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.send_once import is_first
from api.pages.texts import gettext, mark
from api.schemas.base import Id
from api.schemas.webhooks import EndpointChange, EndpointRequest, Subscribable
from api.services.use_cases import require
from api.services.webhooks import endpoint_changes, new_endpoint, service
from api.workflow_engine import notify_all
from persistence.queries.views import AccessScope
from persistence.queries.webhook_views import DeliveryFilter
from persistence.repositories.endpoints import Issued

RECENT: Final = 5
"""Deliveries on the page of an endpoint."""
PERIODS: Final = {"1": mark("the last hour"), "24": mark("the last day"), "168": mark("the last 7 days")}
"""Hours that `recover` may go back, and what the page calls them."""
EVENT_TEXTS: Final = {
    "assessment.completed": mark("A result is ready"),
    "assessment.failed": mark("An assessment could not be graded"),
    "assessment.updated": mark("A result has changed"),
    "assessment.held": mark("A result waits for its release"),
    "assessment.released": mark("A held result is released"),
    "appeal.opened": mark("A student appeals"),
    "appeal.answered": mark("An appeal is answered"),
}

webhooks = page_router(prefix="/admin/webhooks")


@webhooks.get("")
async def webhooks_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    endpoints = await services.webhooks.queries.endpoints(scope)
    return render(request, "admin/webhooks.html", title=gettext("Webhooks"), endpoints=endpoints)


@webhooks.get("/new")
async def new_endpoint_page(request: Request) -> Response:
    return _new(request, {"event_types": ["assessment.completed", "assessment.failed"]})


@webhooks.post("/new")
async def create_endpoint_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Show the secret of the new endpoint. Only this response contains it, so it does not redirect."""
    sent = _sent(form)
    try:
        new = new_endpoint(EndpointRequest.model_validate(sent), services.webhooks)
        async with services.database.transaction() as uow:
            if not await is_first(uow, request, principal, form):
                return see_other("/admin/webhooks", done="already_sent")
            issued = await service(uow, services, principal).create(new)
            await uow.commit()
    except REFUSALS as error:
        return _new(request, sent, field_errors(error, _labels()))
    return _secret(request, issued, is_new=True)


@webhooks.get("/{endpoint_id}")
async def endpoint_page(request: Request, endpoint_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    return await _endpoint(request, endpoint_id, services, scope)


@webhooks.post("/{endpoint_id}")
async def change_endpoint_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request,
    endpoint_id: Id,
    form: FormDep,
    services: ServicesDep,
    principal: PrincipalDep,
    scope: ScopeDep,
) -> Response:
    try:
        if changes := changed(_sent(form), form):
            checked = endpoint_changes(EndpointChange.model_validate(changes), services.webhooks)
            async with services.database.transaction() as uow:
                await service(uow, services, principal).change(endpoint_id, checked)
                await uow.commit()
    except REFUSALS as error:
        return await _endpoint(request, endpoint_id, services, scope, field_errors(error, _labels()), form)
    return see_other(f"/admin/webhooks/{endpoint_id}", done="endpoint_changed")


@webhooks.post("/{endpoint_id}/enabled")
async def enable_endpoint_form(
    endpoint_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Enable or disable the endpoint."""
    enabled = form.get("enabled") == "yes"
    async with services.database.transaction() as uow:
        await service(uow, services, principal).change(endpoint_id, {"enabled": enabled})
        await uow.commit()
    return see_other(f"/admin/webhooks/{endpoint_id}", done="endpoint_enabled" if enabled else "endpoint_disabled")


@webhooks.post("/{endpoint_id}/rotate-secret")
async def rotate_secret_form(
    request: Request, endpoint_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Show the new secret. Only this response contains it, so it does not redirect."""
    async with services.database.transaction() as uow:
        if not await is_first(uow, request, principal, form):
            return see_other(f"/admin/webhooks/{endpoint_id}", done="already_sent")
        issued = await service(uow, services, principal).rotate_secret(endpoint_id)
        await uow.commit()
    return _secret(request, issued, is_new=False)


@webhooks.post("/{endpoint_id}/test")
async def test_endpoint_form(endpoint_id: Id, services: ServicesDep, principal: PrincipalDep) -> Response:
    async with services.database.transaction() as uow:
        sent = await service(uow, services, principal).test(endpoint_id)
        await uow.commit()
    await notify_all(sent.after_commit)
    return see_other(f"/admin/deliveries/{sent.deliveries[0].id}", done="test_sent")


@webhooks.post("/{endpoint_id}/recover")
async def recover_endpoint_form(
    endpoint_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Deliver again what failed or was missed in a period that ends now."""
    hours = int(form["hours"]) if form.get("hours") in PERIODS else 1
    since = datetime.now(UTC) - timedelta(hours=hours)
    async with services.database.transaction() as uow:
        recovered = await service(uow, services, principal).recover(endpoint_id, since, None)
        await uow.commit()
    await notify_all(recovered.after_commit)
    done = "recovered_some" if recovered.more else "recovered" if recovered.deliveries else "recovered_nothing"
    return see_other(f"/admin/webhooks/{endpoint_id}", done=done)


@webhooks.post("/{endpoint_id}/delete")
async def delete_endpoint_form(endpoint_id: Id, services: ServicesDep, principal: PrincipalDep) -> Response:
    async with services.database.transaction() as uow:
        await service(uow, services, principal).delete(endpoint_id)
        await uow.commit()
    return see_other("/admin/webhooks", done="endpoint_deleted")


def _sent(form: Form) -> dict[str, Any]:
    limit = form.get("rate_limit_per_minute", "").strip()
    return {
        "url": form.get("url", "").strip(),
        "event_types": [name.removeprefix("event_types.") for name in form if name.startswith("event_types.")],
        "rate_limit_per_minute": whole_number(limit) if limit else None,
    }


def _labels() -> dict[str, str]:
    return {
        "url": gettext("Address"),
        "event_types": gettext("Events"),
        "rate_limit_per_minute": gettext("Requests per minute"),
    }


def _events() -> list[tuple[str, str, str]]:
    return [(name, name, gettext(EVENT_TEXTS[name])) for name in get_args(Subscribable)]


def _new(request: Request, given: Mapping[str, Any], errors: FieldErrors | None = None) -> Response:
    return render(
        request,
        "admin/new_endpoint.html",
        400 if errors else 200,
        title=gettext("Add an endpoint"),
        given={"url": "", "rate_limit_per_minute": None, **given},
        events=_events(),
        errors=errors or [],
    )


def _secret(request: Request, issued: Issued, *, is_new: bool) -> Response:
    return render(
        request,
        "admin/endpoint_secret.html",
        title=gettext("The endpoint is created") if is_new else gettext("The secret is replaced"),
        endpoint=issued.endpoint,
        secret=issued.secret,
        is_new=is_new,
    )


async def _endpoint(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request,
    endpoint_id: UUID,
    services: Services,
    scope: AccessScope,
    errors: FieldErrors | None = None,
    form: Form | None = None,
) -> Response:
    view = require(await services.webhooks.queries.endpoint(endpoint_id, scope), "No such endpoint")
    stored = {
        "url": view.url,
        "event_types": [each for each in get_args(Subscribable) if each in view.event_types],  # in the form's order
        "rate_limit_per_minute": view.rate_limit_per_minute,
    }
    return render(
        request,
        "admin/endpoint.html",
        400 if errors else 200,
        title=gettext("Webhook endpoint"),
        endpoint=view,
        given=stored if form is None else _sent(form),
        hidden=hidden_fields(stored) if form is None else hidden_fields_of(form, stored),
        events=_events(),
        periods=[(value, gettext(text)) for value, text in PERIODS.items()],
        figures=await services.webhooks.queries.delivery_figures(endpoint_id, scope),
        deliveries=await services.webhooks.queries.deliveries(scope, DeliveryFilter(endpoint_id=endpoint_id), RECENT),
        errors=errors or [],
    )
