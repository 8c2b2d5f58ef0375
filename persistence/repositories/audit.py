"""Audit rows: who did what to which resource. They hold opaque ids and codes only."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import get_contextvars

from persistence.queries.views import Actor
from persistence.repositories.bulk import insert_rows
from persistence.tables import AuditLogRow
from persistence.tables.base import table_of

SYSTEM = "system"
"""The role of an actor that is not a user: workflows, commands."""

PLATFORM_ADMIN = "platform_admin"

Entry: TypeAlias = tuple[str, str, UUID, Mapping[str, Any] | None]
"""An action, the type and the id of the resource, and details."""

_INSERT: Final = insert(table_of(AuditLogRow))


def role_of(role: str, organization_id: UUID | None) -> str:
    """Return the role as the audit trail names it: an admin without an organization is a `platform_admin`."""
    return PLATFORM_ADMIN if organization_id is None else role


def correlation_id() -> str | None:
    """Return the correlation id of the current request or run; log lines carry the same id."""
    found = get_contextvars().get("correlation_id")
    return None if found is None else str(found)


async def record(  # noqa: PLR0913, PLR0917  # the columns of an audit row
    session: AsyncSession,
    actor: Actor | None,
    action: str,
    resource_type: str,
    resource_id: UUID,
    organization_id: UUID | None,
    /,
    **details: object,
) -> None:
    """Write an audit row in the transaction of the action. `actor` None: the system. `details`: ids, numbers, codes."""
    row = _row(actor, organization_id, (action, resource_type, resource_id, details or None))
    await session.execute(_INSERT, row)


async def record_many(
    session: AsyncSession, actor: Actor, organization_id: UUID | None, entries: Sequence[Entry]
) -> None:
    """Write audit rows in one statement."""
    await insert_rows(session, {AuditLogRow: [_row(actor, organization_id, entry) for entry in entries]})


def _row(actor: Actor | None, organization_id: UUID | None, entry: Entry) -> dict[str, object]:
    action, resource_type, resource_id, details = entry
    return {
        "id": uuid4(),
        "organization_id": organization_id,
        "actor_id": actor.id if actor else None,
        "actor_role": actor.role if actor else SYSTEM,
        "action": action,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "correlation_id": correlation_id(),
        "metadata": details,
    }
