"""Forgetting people, telling what is held about them, and who did what."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator, Field

from api.dependencies import Caller, PeopleScopeDep, ServicesDep
from api.middleware.routing import router
from api.schemas import cursors
from api.schemas.base import Id, Moment, QueryInput, digits
from api.schemas.errors import answers
from api.schemas.privacy import AuditEntry, AuditList, ErasureAck
from api.security.authorization import actor_of
from api.workflow_engine import told
from persistence.queries.audit import AuditFilter

privacy = router(prefix="/users", tags=["People"])
audit_logs = router(prefix="/audit-logs", tags=["Audit"])


@privacy.delete(
    "/{user_id}",
    status_code=202,
    summary="Erase a person",
    response_description="Nothing is written about the person any more; what is held goes now",
    responses=answers(400, 401, 403, 404, 409),
)
async def erase_user(user_id: Id, services: ServicesDep, caller: Caller, seen: PeopleScopeDep) -> ErasureAck:
    """Their tokens are worthless at once for every write, and for reads within 30 seconds in every process.

    Answers, results, feedback, sessions, the profile and the e-mail address are deleted or blanked; the audit trail
    keeps opaque ids. It cannot be undone, and a backup that is restored is erased again. Calling it again is harmless.
    409 where no admin would be left.
    """
    actor = actor_of(caller)
    async with services.database.transaction() as uow:
        erasure = await uow.erasures.begin(
            user_id,
            organization_id=seen.organization_id,
            role=seen.role,
            actor_id=actor.id,
            actor_role=actor.role,
        )
        await uow.commit()
    services.principals.forget(user_id)
    await told(services.privacy.runs.start, erasure)
    return ErasureAck(user_id=user_id, status="erasing")


@privacy.get(
    "/{user_id}/export",
    summary="Everything held about a person",
    response_class=StreamingResponse,
    response_description="A list of rows by table",
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}},
        **answers(400, 401, 403, 404, 410),
    },
)
async def export_user(user_id: Id, services: ServicesDep, caller: Caller, seen: PeopleScopeDep) -> StreamingResponse:
    """Without what is no data about them: hashes of secrets, and how questions are to be answered."""
    exports = services.privacy.exports
    await exports.begin(user_id, seen, actor_of(caller))
    return StreamingResponse(
        exports.document(user_id),
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{user_id}.json"'},
    )


class AuditQuery(QueryInput):
    action: str | None = Field(default=None, max_length=64, pattern="^[a-z_.]+$", examples=["user.erased"])
    resource_type: str | None = Field(default=None, max_length=32, pattern="^[a-z_]+$", examples=["user"])
    resource_id: Id | None = None
    actor_id: Id | None = None
    since: Moment | None = Field(default=None, description="Created at this time or later")
    cursor: str | None = Field(default=None, description="`next_cursor` of the page before")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


@audit_logs.get("", summary="The audit trail", responses=answers(400, 401, 403), response_model_exclude_none=True)
async def list_audit_logs(query: Annotated[AuditQuery, Query()], services: ServicesDep, caller: Caller) -> AuditList:
    """The organization's, newest first; for the platform's admins what they did, and what is of no organization."""
    found = AuditFilter(
        **query.model_dump(exclude={"cursor", "limit"}), after=cursors.decode(query.cursor) if query.cursor else None
    )
    views = await services.privacy.audit.logs(caller.organization_id, found, query.limit + 1)
    page, next_cursor = cursors.page(views, query.limit, lambda last: last.audit_id)
    return AuditList(items=[AuditEntry.model_validate(view) for view in page], next_cursor=next_cursor)
