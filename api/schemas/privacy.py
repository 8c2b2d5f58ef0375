"""The audit trail, erasure and export."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.base import Id, Moment, Output


class ErasureAck(Output):
    """The erasure is committed and under way; `GET /users/{user_id}` answers 404 once it is done."""

    user_id: Id
    status: Literal["erasing"]


class AuditEntry(Output):
    """`details` holds ids, numbers and codes. `position` and `hash` follow when the entry is sealed."""

    audit_id: Id
    organization_id: Id | None = None
    actor_id: Id | None = Field(default=None, description="Absent for what the system did")
    actor_role: str | None = None
    action: str = Field(examples=["assessment.completed"])
    resource_type: str
    resource_id: Id | None = None
    correlation_id: str | None = Field(default=None, description="`X-Request-Id` of the request, where there was one")
    details: dict[str, Any] | None = None
    position: int | None = Field(default=None, description="Its place in the chain of hashes, from 1")
    hash: str | None = Field(default=None, description="SHA-256 over the hash before it, its position and its content")
    created_at: Moment


class AuditList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[AuditEntry]
    next_cursor: str | None = None
