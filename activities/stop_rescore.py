"""End a re-score early, after a failure that no retry removes."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreStop:
    rescore_id: UUID
    reason: str


class StopRescore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def stop_rescore(self, stop: RescoreStop) -> None:
        """Record the reason. The differences computed so far stay; differences not applied yet can be applied again."""
        async with self._database.transaction() as uow:
            await uow.rescores.end_computation(stop.rescore_id, stop.reason)
            await uow.commit()
