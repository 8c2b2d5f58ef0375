"""Erase a user, export a user's data, read the audit trail."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.dependencies import PeopleScopeDep, PrincipalDep, ServicesDep
from api.middleware.routing import router
from api.schemas.base import Id, Moment
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.privacy import AuditEntry, AuditList, ErasureAck
from api.security.authorization import actor_of
from api.services.accounts import erase_account
from persistence.queries.audit import AuditFilter

privacy = router(prefix="/users", tags=["People"])
audit_logs = router(prefix="/audit-logs", tags=["Audit"])


@privacy.delete(
    "/{user_id}",
    status_code=202,
    summary="Erase a user",
    response_description="New writes about the user are refused; stored data is being deleted",
    responses=answers(400, 401, 403, 404, 409),
)
async def erase_user(user_id: Id, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep) -> ErasureAck:
    """The user's answers, reviews and feedback are refused at once. Their tokens become invalid within a minute.

    Answers, results, feedback, sessions, the profile and the e-mail address are deleted or blanked. The audit trail
    contains only opaque ids. The erasure cannot be undone and is repeated after a backup is restored. The request is
    idempotent. 409 if no admin would remain.
    """
    await erase_account(user_id, services, scope, actor_of(principal))
    return ErasureAck(user_id=user_id, status="erasing")


@privacy.get(
    "/{user_id}/export",
    summary="Export the data of a user",
    response_class=StreamingResponse,
    response_description="Lists of rows by table",
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}},
        **answers(400, 401, 403, 404, 410),
    },
)
async def export_user(
    user_id: Id, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> StreamingResponse:
    """The export excludes hashes of secrets and the rubrics of questions."""
    exports = services.privacy.exports
    await exports.begin(user_id, scope, actor_of(principal))
    return StreamingResponse(
        exports.document(user_id),
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{user_id}.json"'},
    )


class AuditQuery(PageQuery):
    action: str | None = Field(default=None, max_length=64, pattern="^[a-z_.]+$", examples=["user.erased"])
    resource_type: str | None = Field(default=None, max_length=32, pattern="^[a-z_]+$", examples=["user"])
    resource_id: Id | None = None
    actor_id: Id | None = None
    since: Moment | None = Field(default=None, description="Created at this time or later")


@audit_logs.get("", summary="Read the audit trail", responses=answers(400, 401, 403))
async def list_audit_logs(
    query: Annotated[AuditQuery, Query()], services: ServicesDep, principal: PrincipalDep
) -> AuditList:
    """The organization's entries, newest first. For platform admins: those of platform admins or of no organization."""
    filters = AuditFilter(**query.filters())
    views = await services.privacy.audit.logs(principal.organization_id, filters, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.audit_id)
    return AuditList(items=[AuditEntry.model_validate(view) for view in page], next_cursor=next_cursor)
