"""Delete records whose retention period is over."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from domain.database import Database
from domain.privacy import RetentionRule

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainInput:
    rule: RetentionRule


class Retain:
    """`days` is the retention period of each rule; a rule without a period deletes nothing."""

    def __init__(self, database: Database, days: Mapping[RetentionRule, int], batch: int = BATCH) -> None:
        self._database = database
        self._days = days
        self._batch = batch

    @activity.defn
    async def retain(self, wanted: RetainInput) -> int:
        """Delete in batches, each in its own statement; return the number of rows."""
        days = self._days.get(wanted.rule)
        if days is None:
            return 0
        deleted, after = 0, None
        while True:
            async with self._database.statement() as uow:
                batch = await uow.retention.apply(wanted.rule, days=days, after=after, limit=self._batch)
            deleted += batch.rows
            after = batch.cursor
            if after is None:
                return deleted
