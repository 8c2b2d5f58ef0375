"""Reads for the pages of admins: what needs attention, the spending on language models, recent catalogue imports."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text

from persistence.queries.reader import Reader

COUNTED: Final = 1_000
"""The highest count of each thing that needs attention, so that the page stays fast."""

# A dead letter that was delivered again does not count, nor one of a deleted endpoint.
_ATTENTION: Final = text("""
SELECT
  (SELECT count(*) FROM (
    SELECT FROM assessments AS a JOIN users AS u ON u.id = a.user_id
    WHERE a.organization_id = :organization_id AND a.status = 'failed' AND a.failure_reason <> 'expired'
      AND u.status NOT IN ('erasing', 'erased') LIMIT :most) AS failed) AS failed,
  (SELECT count(*) FROM (
    SELECT FROM assessments WHERE organization_id = :organization_id AND degraded AND status = 'completed' LIMIT :most
  ) AS degraded) AS degraded,
  (SELECT count(*) FROM (
    SELECT FROM webhook_deliveries AS d JOIN webhook_endpoints AS e ON e.id = d.endpoint_id AND e.deleted_at IS NULL
    WHERE d.organization_id = :organization_id AND d.status = 'dead_letter' AND NOT EXISTS (
      SELECT FROM webhook_deliveries AS later
      WHERE later.event_id = d.event_id AND later.endpoint_id = d.endpoint_id AND later.n > d.n) LIMIT :most
  ) AS dead) AS dead_letters,
  (SELECT count(*) FROM webhook_endpoints
    WHERE organization_id = :organization_id AND deleted_at IS NULL AND NOT enabled) AS disabled_endpoints,
  (SELECT count(*) FROM webhook_endpoints
    WHERE organization_id = :organization_id AND deleted_at IS NULL AND enabled AND failing_since IS NOT NULL
  ) AS failing_endpoints,
  coalesce((SELECT cents FROM model_spending WHERE organization_id = :organization_id
    AND day = CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date)), 0) AS cents_today
""")

_FAILED: Final = text("""
SELECT a.id AS assessment_id, u.id AS user_id, coalesce(u.name, u.email) AS student, r.name AS role, a.failure_reason,
  a.updated_at
FROM assessments AS a JOIN users AS u ON u.id = a.user_id JOIN role_catalog AS r ON r.id = a.role_id
WHERE a.organization_id = :organization_id AND a.status = 'failed' AND a.failure_reason <> 'expired'
  AND u.status NOT IN ('erasing', 'erased')
ORDER BY a.created_at DESC, a.id DESC LIMIT :limit
""")

_DAYS: Final = text("""
SELECT day, cents FROM model_spending
WHERE organization_id = :organization_id AND day > CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date) - :days
ORDER BY day DESC
""")

_MODELS: Final = text("""
SELECT m.model, count(*) AS calls, coalesce(sum(m.prompt_tokens), 0) AS prompt_tokens,
  coalesce(sum(m.completion_tokens), 0) AS completion_tokens, coalesce(sum(m.cost_cents), 0) AS cents,
  count(*) FILTER (WHERE m.cost_cents IS NULL) AS unpriced
FROM model_answers AS m JOIN assessments AS a ON a.id = m.assessment_id
WHERE a.organization_id = :organization_id AND m.answered_at >= date_trunc('day', clock_timestamp(), 'UTC')
GROUP BY m.model ORDER BY cents DESC, m.model
""")

_ORGANIZATIONS: Final = text("""
SELECT o.id AS organization_id, o.name, s.cents FROM model_spending AS s JOIN organizations AS o
  ON o.id = s.organization_id
WHERE s.day = CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date) ORDER BY s.cents DESC, o.name LIMIT :limit
""")

_IMPORTS: Final = text("""
SELECT id AS import_id, row_count, status, created_at, completed_at FROM catalog_imports
ORDER BY created_at DESC, id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionView:
    """Numbers of things that an admin should look at, each at most COUNTED; and the spending of the UTC day."""

    failed: int
    degraded: int
    dead_letters: int
    disabled_endpoints: int
    failing_endpoints: int
    cents_today: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRunView:
    """An assessment that could not be graded and can be run again. `updated_at` is when it failed."""

    assessment_id: UUID
    user_id: UUID
    student: str
    role: str
    failure_reason: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpendingView:
    """The spending of a UTC day, including reservations of calls in progress."""

    day: date
    cents: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpendingView:
    """The answered calls of a model today. `unpriced`: calls whose cost is unknown."""

    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cents: Decimal
    unpriced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationSpendingView:
    """The spending of an organization today."""

    organization_id: UUID
    name: str
    cents: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImportView:
    """An import of the catalogue without its rows."""

    import_id: UUID
    row_count: int
    status: str
    created_at: datetime
    completed_at: datetime | None


class AdminPageQueries(Reader):
    async def attention(self, organization_id: UUID) -> AttentionView:
        (row,) = await self._rows(_ATTENTION, organization_id=organization_id, most=COUNTED)
        return AttentionView(**row)

    async def failed_runs(self, organization_id: UUID, limit: int) -> list[FailedRunView]:
        """Return assessments that failed and can be run again, newest first."""
        return [FailedRunView(**row) for row in await self._rows(_FAILED, organization_id=organization_id, limit=limit)]

    async def spending(self, organization_id: UUID, days: int) -> list[DaySpendingView]:
        """Return the days with spending among the last `days` UTC days, newest first."""
        return [DaySpendingView(**row) for row in await self._rows(_DAYS, organization_id=organization_id, days=days)]

    async def spending_by_model(self, organization_id: UUID) -> list[ModelSpendingView]:
        """Return the calls of today (UTC) by model, the most expensive first."""
        return [ModelSpendingView(**row) for row in await self._rows(_MODELS, organization_id=organization_id)]

    async def spending_by_organization(self, limit: int) -> list[OrganizationSpendingView]:
        """Return the organizations with spending today (UTC), the highest first."""
        return [OrganizationSpendingView(**row) for row in await self._rows(_ORGANIZATIONS, limit=limit)]

    async def imports(self, limit: int) -> list[ListedImportView]:
        """Return the newest imports of the catalogue."""
        return [ListedImportView(**row) for row in await self._rows(_IMPORTS, limit=limit)]

    async def _rows(self, statement: TextClause, **values: object) -> list[Any]:
        async with self._connection() as connection:
            return list((await connection.execute(statement, values)).mappings())
