"""Read re-scores, their summaries and their differences."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, case, func, select

from persistence.queries.reader import Position, Reader, newest
from persistence.tables import AssessmentRow, QuestionRow, RescoreDifferenceRow, RescoreRow

_row: Final = RescoreDifferenceRow
DIFFERENCE_COLUMNS: Final = (
    _row.assessment_id,
    AssessmentRow.user_id,
    AssessmentRow.role_id,
    _row.revision,
    _row.outcome,
    _row.status,
    _row.old_points,
    _row.new_points,
    _row.difference,
    _row.applied_revision,
    _row.skip_reason,
)
"""The columns of a `DifferenceView`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreView:
    rescore_id: UUID
    requested_by: UUID | None
    role_id: UUID | None
    question_key: str | None
    since: datetime | None
    versions: list[str]
    reason: str
    scope: str
    status: str
    total: int | None
    done: int
    cents: Decimal
    stop_reason: str | None
    created_at: datetime
    computed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryView:
    """Numbers of assessments. `mean_change` is the mean of new minus old points of the compared ones."""

    compared: int
    changed: int
    up: int
    down: int
    same: int
    mean_change: Decimal | None
    reached_target: int
    missed_target: int
    not_comparable: int
    applying: int
    applied: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceView:
    """`difference` is a stored `domain.rescores.differences.Difference`."""

    assessment_id: UUID
    user_id: UUID
    role_id: UUID
    revision: int
    outcome: str
    status: str
    old_points: Decimal
    new_points: Decimal
    difference: Any
    applied_revision: int | None
    skip_reason: str | None


class RescoreQueries(Reader):
    async def rescores(self, organization_id: UUID, after: Position | None, limit: int) -> list[RescoreView]:
        """Return at most `limit` re-scores of the organization, newest first."""
        statement = _rescores().where(RescoreRow.organization_id == organization_id)
        page = newest(statement, RescoreRow.created_at.expression, RescoreRow.id.expression, after, limit)
        return await self._all(RescoreView, page)

    async def rescore(self, rescore_id: UUID, organization_id: UUID) -> RescoreView | None:
        statement = _rescores().where(RescoreRow.id == rescore_id, RescoreRow.organization_id == organization_id)
        return await self._one(RescoreView, statement)

    async def summary(self, rescore_id: UUID) -> SummaryView:
        change = _row.new_points - _row.old_points
        numbers = {
            "changed": _row.outcome == "changed",
            "up": change > 0,
            "down": change < 0,
            "same": change == 0,
            "reached_target": _row.reached_target,
            "missed_target": _row.missed_target,
            "not_comparable": _row.not_comparable,
            "applying": _row.status == "applying",
            "applied": _row.status == "applied",
            "skipped": _row.status == "skipped",
        }
        counted = [func.count(case((condition, 1))).label(name) for name, condition in numbers.items()]
        mean = func.round(func.avg(change), 4).label("mean_change")
        statement = select(func.count().label("compared"), mean, *counted).where(
            _row.rescore_id == rescore_id, _row.status != "pending"
        )
        found = await self._one(SummaryView, statement)
        assert found is not None  # noqa: S101  # an aggregate always has a row
        return found

    async def differences(
        self, rescore_id: UUID, *, outcome: str | None, after: UUID | None, limit: int
    ) -> list[DifferenceView]:
        """Return at most `limit` finished differences after the assessment `after`, by assessment."""
        conditions = [_row.rescore_id == rescore_id, _row.status != "pending"]
        if outcome is not None:
            conditions.append(_row.outcome == outcome)
        if after is not None:
            conditions.append(_row.assessment_id > after)
        statement = (
            select(*DIFFERENCE_COLUMNS)
            .join(AssessmentRow, AssessmentRow.id == _row.assessment_id)
            .where(and_(*conditions))
            .order_by(_row.assessment_id)
            .limit(limit)
        )
        return await self._all(DifferenceView, statement)


def _rescores() -> Any:  # noqa: ANN401  # a select of fifteen columns
    row = RescoreRow
    return select(
        row.id.label("rescore_id"),
        row.requested_by,
        row.role_id,
        QuestionRow.key.label("question_key"),
        row.since,
        row.versions,
        row.reason,
        row.scope,
        row.status,
        row.total,
        row.done,
        row.cents,
        row.stop_reason,
        row.created_at,
        row.computed_at,
    ).outerjoin(QuestionRow, QuestionRow.id == row.question_id)
