"""Read the audit trail; count denied requests, which it does not list."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import in_autocommit, storage_errors
from persistence.queries.reader import Reader, equal_to, newest
from persistence.tables import AuditLogRow, UserRow
from persistence.tables.base import table_of

_logs: Final = table_of(AuditLogRow).c
_users: Final = table_of(UserRow).c

# The user's row is locked in share mode: an erasure is either visible here, or waits and then deletes this row.
_COUNT: Final = text("""
WITH person AS (
  SELECT id FROM users WHERE id = :user_id AND status NOT IN ('erasing', 'erased') FOR SHARE
), caller AS (
  SELECT id FROM person UNION ALL SELECT id FROM api_keys WHERE id = :user_id
)
INSERT INTO denied_requests AS denied (user_id, hour, count)
SELECT id, date_trunc('hour', clock_timestamp(), 'UTC'), 1 FROM caller
ON CONFLICT (user_id, hour) DO UPDATE SET count = denied.count + 1
""")

# Each step of the recursion reads one entry of the index, so the cost is the number of values, not of rows.
_KNOWN: Final = """
WITH RECURSIVE known AS (
  (SELECT {column} AS value FROM audit_logs WHERE {condition} ORDER BY {column} LIMIT 1)
  UNION ALL
  SELECT (SELECT {column} FROM audit_logs WHERE {condition} AND {column} > known.value
    ORDER BY {column} LIMIT 1)
  FROM known WHERE known.value IS NOT NULL
)
SELECT value FROM known WHERE value IS NOT NULL
"""


class AuditColumn(StrEnum):
    """A column with few different values, which a page offers as a filter."""

    ACTION = "action"
    RESOURCE_TYPE = "resource_type"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """A row of the audit trail. `position` and `hash` are its link in the chain, None until the row is sealed."""

    audit_id: UUID
    organization_id: UUID | None
    actor_id: UUID | None
    actor_role: str | None
    action: str
    resource_type: str
    resource_id: UUID | None
    correlation_id: str | None
    details: Any
    position: int | None
    hash: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """A filter; conditions are combined with AND. `after` is the (created_at, id) of the previous page's last row."""

    action: str | None = None
    resource_type: str | None = None
    resource_id: UUID | None = None
    actor_id: UUID | None = None
    since: datetime | None = None
    after: tuple[datetime, UUID] | None = None


class AuditQueries(Reader):
    async def logs(self, organization_id: UUID | None, found: AuditFilter, limit: int) -> list[AuditView]:
        """Return an organization's rows, newest first.

        `organization_id` None: the platform's rows, which belong to no organization or were written by a platform
        admin.
        """
        statement = select(
            _logs.id.label("audit_id"),
            _logs.organization_id,
            _logs.actor_id,
            _logs.actor_role,
            _logs.action,
            _logs.resource_type,
            _logs.resource_id,
            _logs.correlation_id,
            _logs.metadata.label("details"),
            _logs.position,
            _logs.hash,
            _logs.created_at,
        ).where(_of(organization_id), *_matching(found))
        return await self._all(AuditView, newest(statement, _logs.created_at, _logs.id, found.after, limit))

    async def known(self, organization_id: UUID | None, column: AuditColumn) -> list[str]:
        """Return the values that occur in an organization's rows, or in those without an organization, sorted."""
        condition = "organization_id IS NULL" if organization_id is None else "organization_id = :organization_id"
        parameters = {} if organization_id is None else {"organization_id": organization_id}
        async with self._connection() as connection:
            found = await connection.scalars(text(_KNOWN.format(column=column.value, condition=condition)), parameters)
        return list(found)


class Denials:
    """Count a principal's requests that were refused with 403: one row per hour."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = in_autocommit(engine)

    async def count(self, user_id: UUID) -> None:
        with storage_errors():
            async with self._engine.connect() as connection:
                await connection.execute(_COUNT, {"user_id": user_id})


def _of(organization_id: UUID | None) -> ColumnElement[bool]:
    if organization_id is not None:
        return _logs.organization_id == organization_id
    platform_admins = select(_users.id).where(_users.organization_id.is_(None))
    return or_(_logs.organization_id.is_(None), _logs.actor_id.in_(platform_admins))


def _matching(found: AuditFilter) -> list[ColumnElement[bool]]:
    conditions = equal_to(
        {
            _logs.action: found.action,
            _logs.resource_type: found.resource_type,
            _logs.resource_id: found.resource_id,
            _logs.actor_id: found.actor_id,
        }
    )
    if found.since is not None:
        conditions.append(_logs.created_at >= found.since)
    return conditions
