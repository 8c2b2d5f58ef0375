"""Read queries about cohorts."""

from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from persistence.queries.people_views import CohortMemberView, CohortView
from persistence.queries.reader import Position, Reader, Selected, newest
from persistence.tables import CohortMemberRow, CohortRow, UserRow
from persistence.tables.base import table_of

_cohorts: Final = table_of(CohortRow).c
_members: Final = table_of(CohortMemberRow).c
_users: Final = table_of(UserRow).c

COHORT_COLUMNS: Final = (
    _cohorts.id.label("cohort_id"),
    _cohorts.name,
    select(func.count()).where(_members.cohort_id == _cohorts.id).scalar_subquery().label("members"),
    _cohorts.created_at,
    _cohorts.updated_at,
)
"""The columns of a CohortView."""


class CohortQueries(Reader):
    async def cohorts(self, organization_id: UUID, after: Position | None, limit: int) -> list[CohortView]:
        """Return at most `limit` cohorts of the organization, newest first."""
        page = newest(cohorts_of(organization_id), _cohorts.created_at, _cohorts.id, after, limit)
        return await self._all(CohortView, page)

    async def cohort(self, cohort_id: UUID, organization_id: UUID) -> CohortView | None:
        return await self._one(CohortView, cohorts_of(organization_id).where(_cohorts.id == cohort_id))

    async def members(self, cohort_id: UUID, after: Position | None, limit: int) -> list[CohortMemberView]:
        """Return at most `limit` members of the cohort, the last added first."""
        columns = (_users.email, _users.name, _users.external_id, _users.status)
        statement = (
            select(_members.user_id, *columns, _members.created_at)
            .join(UserRow, _users.id == _members.user_id)
            .where(_members.cohort_id == cohort_id)
        )
        return await self._all(CohortMemberView, newest(statement, _members.created_at, _members.user_id, after, limit))


def cohorts_of(organization_id: UUID) -> Selected:
    return select(*COHORT_COLUMNS).where(_cohorts.organization_id == organization_id)
