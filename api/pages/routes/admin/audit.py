"""The audit log with filters: known actions and kinds to choose from, people by their e-mail address."""

import json
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field

from api.dependencies import PeopleScopeDep, PrincipalDep, Services, ServicesDep
from api.pages.form_errors import parameters, query_of
from api.pages.rendering import render
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.routes.privacy import AuditQuery
from domain.email_addresses import MAX_CHARS
from persistence.queries.audit import AuditColumn, AuditFilter, AuditView
from persistence.queries.people_views import PeopleScope, UserFilter, UserView

audit = page_router(prefix="/admin/audit")

_MAX_SUGGESTED: Final = 100
"""Admins and advisors that the field of a person suggests, the newest ones of each role."""


class AuditPageQuery(AuditQuery):
    """The query of the page. `actor` is the e-mail address or the id of a person; `actor_id` is the one in links."""

    actor: str | None = Field(default=None, max_length=MAX_CHARS)

    def filters(self) -> dict[str, Any]:
        return {name: value for name, value in super().filters().items() if name != "actor"}


@audit.get("")
async def audit_page(
    request: Request, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Show the organization's entries; to platform admins those of platform admins and of no organization."""
    query, errors = query_of(request, AuditPageQuery, _labels())
    staff = await _staff(services, scope)
    typed = query.actor or ""
    views: list[AuditView] = []
    if typed:
        query = query.model_copy(update={"actor": None, "actor_id": await _person(typed, services, scope)})
    elif query.actor_id:
        typed = next((each.email for each in staff if each.user_id == query.actor_id), str(query.actor_id))
    if typed and query.actor_id is None:
        errors = [("actor", gettext("No person of your organization has this address or id."))]
    else:
        wanted = AuditFilter(**query.filters())
        views = await services.privacy.audit.logs(principal.organization_id, wanted, query.limit + 1)
    shown, next_cursor = query.page(views, lambda last: last.audit_id)
    known = services.privacy.audit.known
    return render(
        request,
        "admin/audit.html",
        400 if errors else 200,
        title=gettext("Audit log"),
        errors=errors,
        filters=query,
        actor=typed,
        staff=staff,
        actions=await known(principal.organization_id, AuditColumn.ACTION),
        kinds=await known(principal.organization_id, AuditColumn.RESOURCE_TYPE),
        parameters=parameters(query),
        entries=[(each, _short(each.details)) for each in shown],
        next_cursor=next_cursor,
    )


async def _staff(services: Services, scope: PeopleScope) -> list[UserView]:
    users = services.people.queries.users
    found = [await users(scope, UserFilter(role=role), _MAX_SUGGESTED) for role in ("admin", "advisor")]
    return sorted((each for views in found for each in views), key=lambda each: each.email.casefold())


async def _person(typed: str, services: Services, scope: PeopleScope) -> UUID | None:
    """Return the id that was entered, or that of the person with the address. Ids outlive an erased person."""
    try:
        return UUID(typed)
    except ValueError:
        pass
    try:
        found = await services.people.queries.users(scope, UserFilter(email=typed), 1)
    except ValueError:  # it is no address either
        return None
    return found[0].user_id if found else None


def _labels() -> dict[str, str]:
    return {
        "action": gettext("Action"),
        "resource_type": gettext("Kind"),
        "resource_id": gettext("Id"),
        "actor": gettext("Person"),
        "actor_id": gettext("Person"),
    }


def _short(details: object) -> str:
    return "" if details is None else json.dumps(details, ensure_ascii=False)
