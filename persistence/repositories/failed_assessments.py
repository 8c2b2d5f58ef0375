"""Find failed assessments that can be run again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from domain.assessments.lifecycle import EXPIRED, AssessmentStatus
from persistence.repositories.assessments import ERASED
from persistence.repositories.base import Repository
from persistence.tables import AssessmentRow, UserRow
from persistence.tables.base import table_of

_assessments: Final = table_of(AssessmentRow)
_users: Final = table_of(UserRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFilter:
    """Failed assessments of an organization. Conditions are combined with AND; `since` is the time of the failure."""

    organization_id: UUID
    failure_reason: str | None = None
    role_id: UUID | None = None
    since: datetime | None = None


class FailedAssessments(Repository):
    async def matching(self, wanted: FailureFilter, limit: int) -> tuple[UUID, ...]:
        """Return the ids of matching assessments, oldest failures first, without those that expired unanswered."""
        columns = _assessments.c
        conditions = [
            columns.organization_id == wanted.organization_id,
            columns.status == AssessmentStatus.FAILED.value,
            columns.failure_reason != EXPIRED,
            _users.c.status.not_in(ERASED),
        ]
        if wanted.failure_reason is not None:
            conditions.append(columns.failure_reason == wanted.failure_reason)
        if wanted.role_id is not None:
            conditions.append(columns.role_id == wanted.role_id)
        if wanted.since is not None:
            conditions.append(columns.updated_at >= wanted.since)
        statement = select(columns.id).join(_users, _users.c.id == columns.user_id).where(*conditions)
        return tuple(await self._session.scalars(statement.order_by(columns.updated_at, columns.id).limit(limit)))
