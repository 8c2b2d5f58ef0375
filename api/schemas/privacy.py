"""Schemas of the audit trail and of erasure."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.base import Id, Moment, Output


class ErasureAck(Output):
    """The erasure is stored and in progress. When it is complete, `GET /users/{user_id}` returns 404."""

    user_id: Id
    status: Literal["erasing"]


class AuditEntry(Output):
    """`details` has ids, numbers and codes. `position` and `hash` are absent until the entry joins the hash chain."""

    audit_id: Id
    organization_id: Id | None = None
    actor_id: Id | None = Field(default=None, description="Absent for actions of the system")
    actor_role: str | None = None
    action: str = Field(examples=["assessment.completed"])
    resource_type: str
    resource_id: Id | None = None
    correlation_id: str | None = Field(default=None, description="`X-Request-Id` of the request, if any")
    details: dict[str, Any] | None = None
    position: int | None = Field(default=None, description="Position in the hash chain, from 1")
    hash: str | None = Field(default=None, description="SHA-256 of the previous hash, the position and the content")
    created_at: Moment


class AuditList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[AuditEntry]
    next_cursor: str | None = None
