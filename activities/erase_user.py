"""Forgets a person, step by step. Every step may be repeated."""

from temporalio import activity

from domain.assessments.ports import LiveRuns
from domain.database import Database
from domain.privacy import Erasure, ErasureList

PAGE = 50
"""Assessments of one transaction."""


class EraseUser:
    def __init__(self, database: Database, runs: LiveRuns, erased: ErasureList) -> None:
        self._database = database
        self._runs = runs
        self._erased = erased

    @activity.defn
    async def stop_runs(self, erasure: Erasure) -> int:
        """Ends every run about the person; returns of how many assessments.

        What an activity of theirs still has in hand when its run is gone, Postgres refuses.
        """
        await self._confirm(erasure)
        stopped = 0
        after = None
        while True:
            async with self._database.statement() as uow:
                page = await uow.erasures.assessments(erasure.id, after=after, limit=PAGE)
                deliveries = await uow.erasures.pending_deliveries(page)
            if not page:
                return stopped
            await self._runs.stop(page, deliveries)
            stopped += len(page)
            after = page[-1]

    @activity.defn
    async def erase_records(self, erasure: Erasure) -> int:
        """Deletes or blanks what is held, one transaction a page; returns of how many assessments."""
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
        """Notes the person on the erasure list, then says that it is done."""
        await self._confirm(erasure)
        await self._erased.add(erasure.id)
        async with self._database.transaction() as uow:
            await uow.erasures.finish(erasure.id)
            await uow.commit()

    async def _confirm(self, erasure: Erasure) -> None:
        """A database that was restored to before the request would go on writing about the person behind this."""
        async with self._database.statement() as uow:
            await uow.erasures.confirm(erasure.id)
