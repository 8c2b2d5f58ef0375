"""API keys: list, create, revoke. A new key is shown once, in the response to the form."""

from typing import Any

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors, whole_number
from api.pages.forms import Form, FormDep
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.send_once import is_first
from api.pages.texts import gettext
from api.schemas.api_keys import DEFAULT_DAYS, MAX_DAYS, ApiKeyRequest
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.services.api_keys import create_key, revoke_key
from persistence.queries.views import AccessScope

api_keys = page_router(prefix="/admin/api-keys")


@api_keys.get("")
async def api_keys_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    return await _keys(request, services, scope)


@api_keys.post("")
async def create_api_key_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Show the new key. Only this response contains it, so it does not redirect."""
    try:
        wanted = ApiKeyRequest.model_validate(_sent(form))
        async with services.database.transaction() as uow:
            if not await is_first(uow, request, principal, form):
                return see_other("/admin/api-keys", done="already_sent")
            issued = await create_key(uow, wanted, scope, actor_of(principal))
            await uow.commit()
    except REFUSALS as error:
        return await _keys(request, services, scope, field_errors(error, _labels()), form)
    return render(request, "admin/new_api_key.html", title=gettext("New API key"), key=issued.view, secret=issued.key)


@api_keys.post("/{api_key_id}/revoke")
async def revoke_api_key_form(
    api_key_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    await revoke_key(api_key_id, services, scope, actor_of(principal))
    return see_other("/admin/api-keys", done="api_key_revoked")


def _sent(form: Form) -> dict[str, Any]:
    return {
        "name": form.get("name", "").strip(),
        "scopes": [name.removeprefix("scopes.") for name in form if name.startswith("scopes.")],
        "expires_in_days": whole_number(form.get("expires_in_days", "")),
    }


def _labels() -> dict[str, str]:
    return {"name": gettext("Name"), "scopes": gettext("Permissions"), "expires_in_days": gettext("Days")}


async def _keys(
    request: Request,
    services: Services,
    scope: AccessScope,
    errors: FieldErrors | None = None,
    form: Form | None = None,
) -> Response:
    sent = form or {}
    return render(
        request,
        "admin/api_keys.html",
        400 if errors else 200,
        title=gettext("API keys"),
        keys=await services.people.api_keys.keys(scope),
        name=sent.get("name", ""),
        days=sent.get("expires_in_days", str(DEFAULT_DAYS)),
        max_days=MAX_DAYS,
        scopes=[name.removeprefix("scopes.") for name in sent if name.startswith("scopes.")],
        errors=errors or [],
    )
