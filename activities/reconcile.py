"""Finds what Postgres says should run and makes sure that it does. Every action may be repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.assessments import Assessment
from domain.ports import AssessmentRuns, Assessments, UnitOfWorkFactory

PAGE = 200
AT_ONCE = 8
UNCLAIMED_AFTER_S = 15.0
STALE_AFTER_S = 3600.0

Page = Callable[[Assessments, UUID | None], Awaitable[tuple[Assessment, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """How many assessments were submitted, started or expired again, and how many jobs were closed as stale."""

    submitted: int
    resumed: int
    expired: int
    stale_jobs: int


class Reconcile:
    def __init__(self, units: UnitOfWorkFactory, runs: AssessmentRuns) -> None:
        self._units = units
        self._runs = runs

    @activity.defn
    async def reconcile(self) -> Reconciled:
        """One sweep; pages by id, no transaction open during a call to the engine."""
        return Reconciled(
            submitted=await self._sweep(_unclaimed, self._submit_all),
            resumed=await self._sweep(_unfinished, self._resume_dead),
            expired=await self._sweep(_due, self._submit_all),
            stale_jobs=await self._close_stale(),
        )

    async def _sweep(self, read: Page, ensure: Callable[[tuple[Assessment, ...]], Awaitable[int]]) -> int:
        after, done = None, 0
        while page := await self._read(read, after):
            done += await ensure(page)
            after = page[-1].id
        return done

    async def _read(self, read: Page, after: UUID | None) -> tuple[Assessment, ...]:
        async with self._units(autocommit=True) as unit:
            return await read(unit.assessments, after)

    async def _submit_all(self, page: tuple[Assessment, ...]) -> int:
        """Signal-with-start, whether or not a run is alive: a second signal changes nothing."""
        return await self._each(page, self._runs.submit)

    async def _resume_dead(self, page: tuple[Assessment, ...]) -> int:
        live = await self._runs.live([assessment.id for assessment in page])
        dead = tuple(assessment for assessment in page if assessment.id not in live)
        return await self._each(dead, self._ensure_run)

    async def _ensure_run(self, assessment: Assessment) -> None:
        await (self._runs.submit if assessment.claimed_at else self._runs.start)(assessment)

    async def _each(self, page: tuple[Assessment, ...], call: Callable[[Assessment], Awaitable[None]]) -> int:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(assessment: Assessment) -> None:
            async with slots:
                await call(assessment)

        await asyncio.gather(*(one(assessment) for assessment in page))
        return len(page)

    async def _close_stale(self) -> int:
        async with self._units(autocommit=True) as unit:
            closed = await unit.jobs.close_stale(older_than_s=STALE_AFTER_S)
            await unit.commit()
        return closed


def _unclaimed(assessments: Assessments, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return assessments.unclaimed(older_than_s=UNCLAIMED_AFTER_S, after=after, limit=PAGE)


def _unfinished(assessments: Assessments, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return assessments.unfinished(after=after, limit=PAGE)


def _due(assessments: Assessments, after: UUID | None) -> Awaitable[tuple[Assessment, ...]]:
    return assessments.due(after=after, limit=PAGE)
