"""Run a step: Temporal executes it at least once, and `async_jobs` stores at most one output."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from uuid import UUID

from temporalio import activity

from activities.failures import code_of
from domain.assessments.ports import JobKey
from domain.assessments.questions import EssayRubric, Item, QuestionKind, Rubric
from domain.assessments.results import Scores
from domain.assessments.steps import Step, answered_essays
from domain.database import Database, Repositories
from domain.errors import AppError, AttemptLost, Conflict, StepGivenUp, StorageUnavailable
from domain.grading.reviews import Review, reviewed
from domain.grading.rubrics import unanswered_essay
from domain.grading.rules import score_rules
from domain.grading.scores import EssayScore, Spent, healed

Output = TypeVar("Output")

MOST_LOST: Final = 20
"""The number of lost attempts after which a step that reads no user text fails. Such a step cannot have a poison input,
so the limit only ends the retries of a step that crashes every worker."""
PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 30.0
"""The pause after a lost attempt is random: up to 5 s, doubled with each lost attempt, at most 30 s."""
RECORD_WITHIN_S: Final = 5.0
RECORD_EVERY_S: Final = 0.5
"""How long, and at which interval, recording a failure is retried while the database is unavailable."""
OUTAGE_WITHIN_S: Final = 20.0
OUTAGE_EVERY_S: Final = 1.0
"""How long, and at which interval, `through_outages` repeats its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """The assessment, its run and the revision that a step works on."""

    assessment_id: UUID
    run: int
    revision: int

    def job(self, step: Step, item: UUID | None = None) -> JobKey:
        return JobKey(assessment_id=self.assessment_id, run=self.run, revision=self.revision, step=step, item=item)


async def run_step(
    database: Database, key: JobKey, output: type[Output], work: Callable[[], Awaitable[Output]]
) -> Output:
    """Return the step's stored output; without one, run `work` and store its output with the end of the job.

    A repeated step does no work. A failed attempt stores its error code in the job.

    Raises:
        AttemptLost, StepGivenUp: as for `run_storing_step`.
    """

    async def stored() -> Output:
        made = await work()
        async with database.statement() as uow:
            await uow.jobs.succeed(key, made)
        return made

    return await run_storing_step(database, key, output, stored)


async def run_storing_step(
    database: Database, key: JobKey, output: type[Output], work: Callable[[], Awaitable[Output]]
) -> Output:
    """Do what `run_step` does, with `work` that itself stores its output and ends the job in one transaction.

    Raises:
        AttemptLost: the previous attempt was lost, so this one must wait.
        StepGivenUp: too many attempts were lost.
    """
    async with database.statement() as uow:
        begun = await uow.jobs.begin(key, output, pause=True)
    if begun.output is not None:
        return begun.output
    if begun.paused:
        raise attempt_lost(begun.lost)
    async with attempt(database, key):
        if begun.lost >= MOST_LOST:
            raise StepGivenUp(f"{begun.lost} attempts at {key.step} crashed their worker or ran out of time")
        return await work()


async def through_outages(work: Callable[[], Awaitable[Output]]) -> Output:
    """Run `work` again while the database is unavailable, for 20 s after its first such error.

    `work` must be idempotent. A short outage thereby uses none of the activity's attempts, which are for the errors of
    a provider.

    Raises:
        StorageUnavailable: the database is still unavailable.
    """
    ends: float | None = None
    while True:
        try:
            return await work()
        except StorageUnavailable:
            ends = ends or time.monotonic() + OUTAGE_WITHIN_S
            if time.monotonic() >= ends:
                raise
            await asyncio.sleep(OUTAGE_EVERY_S)


def attempt_lost(lost: int) -> AttemptLost:
    """Return the error that delays an attempt by a random pause.

    A crash ends every attempt in the worker, and most of them did not cause it. With random delays they run at
    different times, so most have finished before the next crash.
    """
    pause = min(LONGEST_PAUSE_S, PAUSE_S * 2 ** (lost - 1))
    return AttemptLost(
        f"{lost} attempts at this step crashed their worker or ran out of time",
        retry_after_s=round(random.uniform(0.0, pause), 3),  # noqa: S311  # no secret
    )


@contextlib.asynccontextmanager
async def attempt(database: Database, *keys: JobKey) -> AsyncIterator[None]:
    """Record the failure of an attempt at the running jobs.

    An attempt without a record counts as lost. That is correct when memory or time ran out. It is wrong when this
    worker is shutting down, so a shutdown is recorded too.
    """
    try:
        yield
    except MemoryError as error:
        raise AttemptLost("The worker ran out of memory", retry_after_s=0.0) from error
    except asyncio.CancelledError as error:
        if activity.in_activity() and activity.is_worker_shutdown():
            await record_failures(database, keys, error)
        raise
    except Exception as error:
        await record_failures(database, keys, error)
        raise


async def record_failures(
    database: Database, keys: Sequence[JobKey], error: BaseException, within_s: float = RECORD_WITHIN_S
) -> None:
    """Store the code of the failure of the jobs (best effort), so that a database error does not hide the failure.

    It is retried while the database is unavailable, because an attempt without a record counts as lost.
    """
    ends = time.monotonic() + within_s
    while True:
        try:
            async with database.statement() as uow:
                await uow.jobs.fail(keys, code_of(error))
        except StorageUnavailable:
            if time.monotonic() > ends:
                return
            await asyncio.sleep(RECORD_EVERY_S)
        except (AppError, OSError):
            return
        else:
            return


async def scores(
    uow: Repositories, run: RunInput, items: Sequence[Item], reviews: Collection[UUID] | None = None
) -> Scores:
    """Return every item's score in this run, with the given reviews (None: all reviews).

    A review overrides the score of this revision, which overrides the published one. An unanswered essay has 0 points.
    Costs come from the ledger and include rejected answers. In the first revision, rules score their items again.

    Raises:
        Conflict: an answered item has no score.
    """
    written = answered_essays(items)
    graded = await uow.jobs.outputs([run.job(Step.SCORE_ESSAY, essay) for essay in written], EssayScore)
    fresh = {score.snapshot_id: score for score in graded.values()}
    if run.revision == 1:
        return Scores(rules=score_rules(items).scores, essays=_essays(items, fresh))
    published = (await uow.results.published(run.assessment_id)).scores
    before = {score.snapshot_id: score for score in published.essays}
    anew = {essay: healed(before[essay], score) for essay, score in fresh.items()}
    spent = await uow.model_answers.spent(run.assessment_id)
    used = [each for each in await uow.reviews.of(run.assessment_id) if reviews is None or each.id in reviews]
    newest = {review.snapshot_id: review for review in used}
    rubrics = {item.snapshot_id: item.question.rubric for item in items}
    return Scores(
        rules=published.rules,
        essays=tuple(
            _with_total_cost(_as_reviewed(score, rubrics[score.snapshot_id], newest), spent)
            for score in _essays(items, before | anew)
        ),
        reviews=tuple(review.id for review in used),
    )


def _with_total_cost(score: EssayScore, spent: Mapping[UUID, Spent]) -> EssayScore:
    """Set the cost to the ledger's total, which includes payments after the score was created."""
    paid = spent.get(score.snapshot_id)
    return score if paid is None else replace(score, cost_cents=paid.cost_cents)


def _essays(items: Sequence[Item], scored: Mapping[UUID, EssayScore]) -> tuple[EssayScore, ...]:
    texts = [item for item in items if item.question.kind is QuestionKind.TEXT]
    unscored = [item for item in texts if item.answer is not None and item.snapshot_id not in scored]
    if unscored:
        raise Conflict(f"Essay {unscored[0].snapshot_id} has no score")
    return tuple(scored.get(item.snapshot_id) or unanswered_essay(item) for item in texts)


def _as_reviewed(score: EssayScore, rubric: Rubric, reviews: Mapping[UUID, Review]) -> EssayScore:
    review = reviews.get(score.snapshot_id)
    return reviewed(rubric, score, review) if review and isinstance(rubric, EssayRubric) else score
