"""How a step runs: at least once by Temporal, at most one output by `async_jobs`."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from activities.failures import code_of
from domain.errors import AppError, Conflict
from domain.essays import unanswered_essay
from domain.ports import JobKey, UnitOfWork, UnitOfWorkFactory
from domain.questions import EssayRubric, Item, QuestionKind, Rubric
from domain.results import Scores
from domain.reviews import Review, reviewed
from domain.scores import LOWERED, EssayScore, RuleScores, Spent, healed
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


async def scores(
    unit: UnitOfWork, run: RunInput, items: Sequence[Item], reviews: Collection[UUID] | None = None
) -> Scores:
    """Every item's score as the run sees it, with the given reviews or, for None, all there are.

    What this revision has not scored anew keeps the score that was published; a person's levels win over both; a text
    that nobody wrote has none of the points. Costs are those of the ledger, rejected answers included.

    Raises:
        Conflict: an item has no score.
    """
    written = answered_essays(items)
    graded = await unit.jobs.outputs([run.job(Step.SCORE_ESSAY, essay) for essay in written], EssayScore)
    fresh = {score.snapshot_id: score for score in graded.values()}
    if run.revision == 1:
        rules = await unit.jobs.output(run.job(Step.SCORE_RULES), RuleScores)
        return Scores(rules=rules.scores, essays=_essays(items, fresh))
    published = (await unit.results.published(run.assessment_id)).scores
    before = {score.snapshot_id: score for score in published.essays}
    anew = {essay: healed(before[essay], score) for essay, score in fresh.items()}
    spent = await unit.model_answers.spent(run.assessment_id)
    used = [each for each in await unit.reviews.of(run.assessment_id) if reviews is None or each.id in reviews]
    newest = {review.snapshot_id: review for review in used}
    rubrics = {item.snapshot_id: item.question.rubric for item in items}
    return Scores(
        rules=published.rules,
        essays=tuple(
            _costed(_as_reviewed(score, rubrics[score.snapshot_id], newest), spent)
            for score in _essays(items, before | anew)
        ),
        reviews=tuple(review.id for review in used),
        lowered=any(LOWERED in score.flags for score in anew.values()),
    )


def _costed(score: EssayScore, spent: Mapping[UUID, Spent]) -> EssayScore:
    """With what was paid since the score was made, too."""
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
