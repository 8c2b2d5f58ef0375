"""The audit log with filters."""

import json

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ServicesDep
from api.pages.form_errors import parameters, query_of
from api.pages.rendering import render
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.routes.privacy import AuditQuery
from persistence.queries.audit import AuditFilter

audit = page_router(prefix="/admin/audit")


@audit.get("")
async def audit_page(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    """Show the organization's entries; to platform admins those of platform admins and of no organization."""
    query, errors = query_of(request, AuditQuery, _labels())
    wanted = AuditFilter(**query.filters())
    views = await services.privacy.audit.logs(principal.organization_id, wanted, query.limit + 1)
    shown, next_cursor = query.page(views, lambda last: last.audit_id)
    return render(
        request,
        "admin/audit.html",
        400 if errors else 200,
        title=gettext("Audit log"),
        errors=errors,
        filters=query,
        parameters=parameters(query),
        entries=[(each, _short(each.details)) for each in shown],
        next_cursor=next_cursor,
    )


def _labels() -> dict[str, str]:
    return {
        "action": gettext("Action"),
        "resource_type": gettext("Kind"),
        "resource_id": gettext("Id"),
        "actor_id": gettext("Actor's id"),
    }


def _short(details: object) -> str:
    return "" if details is None else json.dumps(details, ensure_ascii=False)
