"""The repository of published results that wait for a provider."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from domain.healing import Provider
from persistence.repositories.base import Repository

_FIRST: Final = UUID(int=0)

# The status is a literal, so that the planner can use the partial index of results that heal.
_WAITING: Final = text("""
SELECT assessments.id FROM assessments
JOIN recommendations AS published ON published.assessment_id = assessments.id
WHERE healing = 'due' AND organization_id = :organization_id AND assessments.id > :after
  AND published.degraded_reasons && CAST(:reasons AS text[])
  AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND users.status IN ('erasing', 'erased'))
ORDER BY assessments.id LIMIT :limit
""")


class SqlDegradedResults(Repository):
    async def waiting(
        self, provider: Provider, organization_id: UUID, *, after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        wanted = {
            "organization_id": organization_id,
            "after": after or _FIRST,
            "reasons": [reason.value for reason in provider.reasons],
            "limit": limit,
        }
        return tuple(await self._session.scalars(_WAITING, wanted))
