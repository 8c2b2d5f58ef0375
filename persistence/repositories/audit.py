"""Audit rows: who did what to which resource. They hold opaque ids and codes only."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import get_contextvars

from persistence.repositories.bulk import insert_rows
from persistence.tables import AuditLogRow
from persistence.tables.base import table_of

SYSTEM = "system"
"""The role of an actor that is not a user: workflows, commands."""

PLATFORM_ADMIN = "platform_admin"

_INSERT: Final = insert(table_of(AuditLogRow))


def role_of(role: str, organization_id: UUID | None) -> str:
    """Return the role as the audit trail names it: an admin without an organization is a `platform_admin`."""
    return PLATFORM_ADMIN if organization_id is None else role


def correlation_id() -> str | None:
    """Return the correlation id of the current request or run; log lines carry the same id."""
    found = get_contextvars().get("correlation_id")
    return None if found is None else str(found)


async def record(  # noqa: PLR0913  # the columns of an audit row
    session: AsyncSession,
    action: str,
    resource_type: str,
    resource_id: UUID,
    *,
    organization_id: UUID | None,
    actor_id: UUID | None,
    actor_role: str = SYSTEM,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write an audit row in the transaction of the action. `details` holds ids, numbers and codes."""
    row = {
        "id": uuid4(),
        "organization_id": organization_id,
        "actor_id": actor_id,
        "actor_role": actor_role,
        "action": action,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "correlation_id": correlation_id(),
        "metadata": details,
    }
    await session.execute(_INSERT, row)


async def record_many(
    session: AsyncSession,
    entries: Sequence[tuple[str, str, UUID, Mapping[str, Any] | None]],
    *,
    organization_id: UUID | None,
    actor_id: UUID,
    actor_role: str,
) -> None:
    """Write audit rows in one statement. An entry has an action, the resource's type and id, and details."""
    common = {
        "organization_id": organization_id,
        "actor_id": actor_id,
        "actor_role": actor_role,
        "correlation_id": correlation_id(),
    }
    rows = [
        {
            "id": uuid4(),
            "action": action,
            "resource_type": resource_type,
            "resource_id": resource_id,
            "metadata": details,
            **common,
        }
        for action, resource_type, resource_id, details in entries
    ]
    await insert_rows(session, {AuditLogRow: rows})
