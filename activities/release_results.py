"""Release degraded results whose provider answers again."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.database import Database
from domain.healing import Provider, ProviderGates


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseInput:
    """Release at most `limit` results after the assessment `after`. `key` is different for every pass of a gate."""

    provider: Provider
    organization_id: UUID
    after: UUID | None
    limit: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """`last` is where the next batch continues; None after the last result."""

    number: int
    last: UUID | None


class ReleaseResults:
    def __init__(self, database: Database, gates: ProviderGates) -> None:
        self._database = database
        self._gates = gates

    @activity.defn
    async def release_results(self, wanted: ReleaseInput) -> Released:
        """Signal the runs of the next waiting results. A repeated attempt signals none of them twice."""
        async with self._database.statement() as uow:
            ids = await uow.degraded_results.waiting(
                wanted.provider, wanted.organization_id, after=wanted.after, limit=wanted.limit
            )
        await asyncio.gather(*(self._gates.release(assessment_id, wanted.key) for assessment_id in ids))
        return Released(number=len(ids), last=ids[-1] if len(ids) == wanted.limit else None)
