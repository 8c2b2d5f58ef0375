"""Start the workflows that should run according to Postgres but do not. Every action is idempotent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import AssessmentRuns
from domain.database import Database, Repositories
from domain.privacy import Erasure, ErasureRuns
from domain.recommending.ports import CatalogRuns
from domain.rescores.ports import RescoreRuns
from domain.rescores.rescores import Rescore
from domain.webhooks.deliveries import Delivery
from domain.webhooks.ports import DeliveryRuns

PAGE = 200
AT_ONCE = 8
UNCLAIMED_AFTER_S = 15.0
UNDELIVERED_AFTER_S = 15.0
UNEMBEDDED_AFTER_S = 15.0
STALE_AFTER_S = 3600.0
SEALED_AT_ONCE = 1000

Subject = TypeVar("Subject", Assessment, Delivery, Erasure, Rescore)

Page = Callable[[Repositories, UUID | None], Awaitable[tuple[Subject, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The number of workflows started or signalled: for assessments by cause, then for other subjects.

    `stale_jobs` counts the jobs that were closed. Sealed audit entries are not counted, because sealing is routine.
    """

    submitted: int
    resumed: int
    expired: int
    healing: int = 0
    reviewed: int = 0
    deliveries: int = 0
    erasures: int = 0
    imports: int = 0
    rescores: int = 0
    stale_jobs: int


class Reconcile:
    def __init__(  # noqa: PLR0913, PLR0917  # the engine's ports
        self,
        database: Database,
        runs: AssessmentRuns,
        delivery_runs: DeliveryRuns,
        erasure_runs: ErasureRuns,
        catalog_runs: CatalogRuns,
        rescore_runs: RescoreRuns,
    ) -> None:
        self._database = database
        self._runs = runs
        self._delivery_runs = delivery_runs
        self._erasure_runs = erasure_runs
        self._catalog_runs = catalog_runs
        self._rescore_runs = rescore_runs

    @activity.defn
    async def reconcile(self) -> Reconciled:
        """Run one sweep of each kind, in pages by id, without an open transaction during calls to Temporal.

        When a sweep fails, the others still run; the first failure is raised at the end.
        """
        failures: list[Exception] = []

        async def tried(sweep: Awaitable[int]) -> int:
            try:
                return await sweep
            except Exception as error:  # noqa: BLE001  # raised below
                failures.append(error)
                return 0

        reconciled = Reconciled(
            submitted=await tried(self._sweep(_unclaimed, self._submit_all)),
            resumed=await tried(self._sweep(_unfinished, self._resume_dead)),
            expired=await tried(self._sweep(_due, self._submit_all)),
            healing=await tried(self._sweep(_degraded, self._heal_dead)),
            reviewed=await tried(self._sweep(_reviewed, self._publish_reviews)),
            deliveries=await tried(self._sweep(_undelivered, self._deliver_dead)),
            erasures=await tried(self._sweep(_erasing, self._erase_dead)),
            imports=await tried(self._embed_imports()),
            rescores=await tried(self._sweep(_rescoring, self._rescore_dead)),
            stale_jobs=await tried(self._close_stale()),
        )
        await tried(self._seal())
        if failures:
            raise failures[0]
        return reconciled

    async def _sweep(self, read: Page[Subject], ensure: Callable[[tuple[Subject, ...]], Awaitable[int]]) -> int:
        after: UUID | None = None
        done = 0
        while page := await self._read(read, after):
            done += await ensure(page)
            after = page[-1].id
        return done

    async def _read(self, read: Page[Subject], after: UUID | None) -> tuple[Subject, ...]:
        async with self._database.statement() as uow:
            return await read(uow, after)

    async def _submit_all(self, page: tuple[Assessment, ...]) -> int:
        """Signal with start for every assessment; a repeated signal changes nothing."""
        return await self._each(page, self._runs.submit)

    async def _resume_dead(self, page: tuple[Assessment, ...]) -> int:
        live = await self._runs.live([assessment.id for assessment in page])
        dead = tuple(assessment for assessment in page if assessment.id not in live)
        return await self._each(dead, self._ensure_run)

    async def _heal_dead(self, page: tuple[Assessment, ...]) -> int:
        live = await self._runs.live_revisions([assessment.id for assessment in page])
        return await self._each(tuple(each for each in page if each.id not in live), self._runs.heal)

    async def _publish_reviews(self, page: tuple[Assessment, ...]) -> int:
        """Signal with start for every assessment; a repeated signal changes nothing."""
        return await self._each(page, self._runs.reviewed)

    async def _deliver_dead(self, page: tuple[Delivery, ...]) -> int:
        live = await self._delivery_runs.live(page)
        return await self._each(tuple(each for each in page if each.id not in live), self._delivery_runs.start)

    async def _erase_dead(self, page: tuple[Erasure, ...]) -> int:
        live = await self._erasure_runs.live(page)
        return await self._each(tuple(each for each in page if each.id not in live), self._erasure_runs.start)

    async def _rescore_dead(self, page: tuple[Rescore, ...]) -> int:
        live = await self._rescore_runs.live(page)
        return await self._each(tuple(each for each in page if each.id not in live), self._rescore_runs.start)

    async def _ensure_run(self, assessment: Assessment) -> None:
        await (self._runs.submit if assessment.claimed_at else self._runs.start)(assessment)

    async def _each(self, page: tuple[Subject, ...], call: Callable[[Subject], Awaitable[None]]) -> int:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(subject: Subject) -> None:
            async with slots:
                await call(subject)

        await asyncio.gather(*(one(subject) for subject in page))
        return len(page)

    async def _embed_imports(self) -> int:
        """Start one workflow for all imports. It starts before an import is closed, so it covers each of them."""
        async with self._database.statement() as uow:
            unfinished = await uow.catalog_imports.unfinished(older_than_s=UNEMBEDDED_AFTER_S)
        if unfinished:
            await self._catalog_runs.start()
            async with self._database.statement() as uow:
                await uow.catalog_imports.close_embedded(older_than_s=UNEMBEDDED_AFTER_S)
        return unfinished

    async def _close_stale(self) -> int:
        async with self._database.statement() as uow:
            return await uow.jobs.close_stale(older_than_s=STALE_AFTER_S)

    async def _seal(self) -> int:
        """Seal the audit entries written since the last sweep."""
        sealed = 0
        while True:
            async with self._database.transaction() as uow:
                batch = await uow.audit.seal(limit=SEALED_AT_ONCE)
                await uow.commit()
            sealed += batch
            if batch < SEALED_AT_ONCE:
                return sealed


def _unclaimed(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return uow.assessments.unclaimed(older_than_s=UNCLAIMED_AFTER_S, after=after, limit=PAGE)


def _unfinished(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return uow.assessments.unfinished(after=after, limit=PAGE)


def _due(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return uow.assessments.due(after=after, limit=PAGE)


def _degraded(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return uow.assessments.healing(after=after, limit=PAGE)


def _reviewed(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return uow.reviews.unpublished(after=after, limit=PAGE)


def _undelivered(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Delivery, ...]]:
    return uow.deliveries.pending(older_than_s=UNDELIVERED_AFTER_S, after=after, limit=PAGE)


def _erasing(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Erasure, ...]]:
    return uow.erasures.unfinished(after=after, limit=PAGE)


def _rescoring(uow: Repositories, after: UUID | None) -> Awaitable[tuple[Rescore, ...]]:
    return uow.rescores.working(after=after, limit=PAGE)
