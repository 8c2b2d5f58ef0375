"""How a step runs: at least once by Temporal, at most one output by `async_jobs`."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from activities.failures import code_of
from domain.errors import AppError
from domain.essays import unanswered_essay
from domain.ports import JobKey, UnitOfWork, UnitOfWorkFactory
from domain.questions import Item, QuestionKind
from domain.scores import EssayScore
from domain.steps import Step, answered_essays

Output = TypeVar("Output")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """Which run of which assessment works on which revision."""

    assessment_id: UUID
    run: int
    revision: int

    def job(self, step: Step, item: UUID | None = None) -> JobKey:
        return JobKey(assessment_id=self.assessment_id, run=self.run, revision=self.revision, step=step, item=item)


async def run_step(
    units: UnitOfWorkFactory, key: JobKey, output: type[Output], work: Callable[[], Awaitable[Output]]
) -> Output:
    """The step's stored output, or that of `work`, stored in the transaction that closes the job.

    An attempt that repeats a finished step does no work; a failed one leaves its code in the job.
    """
    async with units(autocommit=True) as unit:
        stored = await unit.jobs.begin(key, output)
        await unit.commit()
    if stored is not None:
        return stored
    try:
        made = await work()
        async with units(autocommit=True) as unit:
            await unit.jobs.succeed(key, made)
            await unit.commit()
    except Exception as error:
        await record_failure(units, key, error)
        raise
    return made


async def record_failure(units: UnitOfWorkFactory, key: JobKey, error: Exception) -> None:
    """Best effort: the database may be what failed, and the error at hand matters more."""
    with contextlib.suppress(AppError, OSError):
        async with units(autocommit=True) as unit:
            await unit.jobs.fail(key, code_of(error))
            await unit.commit()


async def essay_scores(unit: UnitOfWork, run: RunInput, items: Sequence[Item]) -> tuple[EssayScore, ...]:
    """The run's score of every essay; one that nobody wrote has none of the points."""
    written = answered_essays(items)
    graded = await unit.jobs.outputs([run.job(Step.SCORE_ESSAY, essay) for essay in written], EssayScore)
    by_item = dict(zip(written, graded, strict=True))
    return tuple(
        by_item.get(item.snapshot_id) or unanswered_essay(item)
        for item in items
        if item.question.kind is QuestionKind.TEXT
    )
