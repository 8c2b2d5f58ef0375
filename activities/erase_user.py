"""Erase a user's personal data in idempotent steps."""

from temporalio import activity

from domain.assessments.ports import LiveRuns
from domain.database import Database
from domain.privacy import Erasure, ErasureList

PAGE = 50
"""The number of assessments in one transaction."""


class EraseUser:
    def __init__(self, database: Database, runs: LiveRuns, erased: ErasureList) -> None:
        self._database = database
        self._runs = runs
        self._erased = erased

    @activity.defn
    async def stop_runs(self, erasure: Erasure) -> int:
        """End every workflow about the user and delete them with their histories; return the number of assessments.

        An activity may still be running then. Postgres rejects what it writes.
        """
        await self._confirm(erasure)
        stopped = 0
        after = None
        while True:
            async with self._database.statement() as uow:
                page = await uow.erasures.assessments(erasure.id, after=after, limit=PAGE)
                deliveries = await uow.erasures.pending_deliveries(page)
                appeals = await uow.erasures.appeals(page)
            if not page:
                return stopped
            await self._runs.stop(page, deliveries, appeals)
            await self._runs.delete(page, appeals)
            stopped += len(page)
            after = page[-1]

    @activity.defn
    async def erase_records(self, erasure: Erasure) -> int:
        """Delete or blank the user's records, one transaction per page; return the number of assessments."""
        await self._confirm(erasure)
        erased = 0
        after = None
        while True:
            async with self._database.transaction() as uow:
                page = await uow.erasures.assessments(erasure.id, after=after, limit=PAGE)
                await uow.erasures.forget_assessments(page)
                await uow.commit()
            if not page:
                break
            erased += len(page)
            after = page[-1]
        async with self._database.transaction() as uow:
            await uow.erasures.forget_account(erasure.id)
            await uow.commit()
        return erased

    @activity.defn
    async def finish_erasure(self, erasure: Erasure) -> None:
        """Add the user to the erasure list, then mark the erasure as done."""
        await self._confirm(erasure)
        await self._erased.add(erasure.id)
        async with self._database.transaction() as uow:
            await uow.erasures.finish(erasure.id)
            await uow.commit()

    async def _confirm(self, erasure: Erasure) -> None:
        """Raise NotFound if this database has no record of the request, for example after it was restored.

        Without the record Postgres would still accept writes about the user.
        """
        async with self._database.statement() as uow:
            await uow.erasures.confirm(erasure.id)
