"""Deletes what has been kept for long enough."""

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
    """`days` is the age by rule; a rule that is not in it keeps everything."""

    def __init__(self, database: Database, days: Mapping[RetentionRule, int], batch: int = BATCH) -> None:
        self._database = database
        self._days = days
        self._batch = batch

    @activity.defn
    async def retain(self, wanted: RetainInput) -> int:
        """Batch after batch, each a statement of its own; returns how many rows went."""
        days = self._days.get(wanted.rule)
        if days is None:
            return 0
        gone = 0
        while True:
            async with self._database.statement() as uow:
                batch = await uow.retention.apply(wanted.rule, days=days, limit=self._batch)
            if not batch:
                return gone
            gone += batch
