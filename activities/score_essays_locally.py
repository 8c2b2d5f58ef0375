"""Grade the remaining essays of an assessment without a language model, in one batch."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity

from activities.copies import CopySearch
from activities.essays import MOST_LOST, essay_of, with_reviews
from activities.failures import is_unexpected
from activities.steps import RunInput, attempt, attempt_lost
from activities.text_analysis import IN_PROCESS
from domain.assessments.ports import Begun, JobKey
from domain.assessments.steps import Step
from domain.database import Database
from domain.grading.ports import EssayGrader, TextAnalysis
from domain.grading.rubrics import Essay, ungraded_essay
from domain.grading.scores import DegradedReason, EssayScore, Spent

AT_ONCE: Final = 2
"""The number of batches that one worker grades at a time. The model has one thread, so more batches would wait while
they are marked as running, and a batch that times out in that queue would count as lost."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftEssay:
    """An essay that no language model graded, and why."""

    essay: UUID
    reason: DegradedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class EssaysInput:
    run: RunInput
    essays: tuple[LeftEssay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EssaysResult:
    """How many essays were scored, and how many of them need a review."""

    scored: int
    needs_review: int


class ScoreEssaysLocally:
    def __init__(self, database: Database, grader: EssayGrader, analysis: TextAnalysis = IN_PROCESS) -> None:
        self._database = database
        self._grader = grader
        self._copies = CopySearch(database=database, analysis=analysis)
        self._turns = asyncio.Semaphore(AT_ONCE)

    @activity.defn
    async def score_essays_locally(self, batch: EssaysInput) -> EssaysResult:
        """Grade the essays without a score; each essay has its own job.

        Usually all essays are one batch. After a lost attempt each essay is graded alone, to find the one that crashes
        the worker. After `MOST_LOST` lost attempts that essay is left to a reviewer. So is an essay that alone raises
        an unexpected error.

        Raises:
            AttemptLost: the previous attempt was lost, so this one must wait.
        """
        async with self._turns:
            return await self._score(batch)

    async def _score(self, batch: EssaysInput) -> EssaysResult:
        jobs = {left.essay: batch.run.job(Step.SCORE_ESSAY, left.essay) for left in batch.essays}
        reasons = {left.essay: left.reason for left in batch.essays}
        begun = await self._begin(jobs)
        scores = {essay: each.output for essay, each in begun.items() if each.output is not None}
        missing = [essay for essay in jobs if essay not in scores]
        if any(begun[essay].lost for essay in missing):
            await self._release([jobs[essay] for essay in missing])
            if any(begun[essay].paused for essay in missing):
                raise attempt_lost(max(begun[essay].lost for essay in missing))
            for essay in sorted(missing, key=lambda each: begun[each].lost):
                scores |= await self._grade_alone(batch.run.assessment_id, essay, jobs[essay], reasons[essay])
        elif missing:
            scores |= await self._grade_together(batch, {essay: jobs[essay] for essay in missing}, reasons)
        return EssaysResult(scored=len(scores), needs_review=sum(score.needs_review for score in scores.values()))

    async def _grade_together(
        self, batch: EssaysInput, jobs: Mapping[UUID, JobKey], reasons: Mapping[UUID, DegradedReason]
    ) -> dict[UUID, EssayScore]:
        """Grade the essays as one batch, or each alone if the batch raises an unexpected error.

        An essay that then still raises one, while another is graded, is left to a reviewer: the cause is its text. If
        none can be graded, the cause is a bug, which the activity's retries wait out.
        """
        assessment_id = batch.run.assessment_id
        try:
            return await self._grade(assessment_id, jobs, reasons)
        except Exception as error:
            if len(jobs) == 1 or not is_unexpected(error):
                raise
        scores: dict[UUID, EssayScore] = {}
        errors: dict[UUID, Exception] = {}
        for essay, job in jobs.items():
            try:
                scores |= await self._grade_alone(assessment_id, essay, job, reasons[essay])
            except Exception as error:
                if not is_unexpected(error):
                    raise
                errors[essay] = error
        if not scores:
            raise next(iter(errors.values()))
        for essay in errors:
            await self._begin({essay: jobs[essay]})
            scores |= await self._grade(assessment_id, {essay: jobs[essay]}, reasons, _NoGrader())
        return scores

    async def _begin(self, jobs: Mapping[UUID, JobKey]) -> dict[UUID, Begun[EssayScore]]:
        async with self._database.statement() as uow:
            begun = await uow.jobs.begin_all(list(jobs.values()), EssayScore, pause=True)
        return {essay: begun[job] for essay, job in jobs.items()}

    async def _release(self, jobs: Sequence[JobKey]) -> None:
        """Mark jobs as not running, so that a crash counts as lost only for the essay that is being graded."""
        async with self._database.statement() as uow:
            await uow.jobs.release(jobs)

    async def _grade_alone(
        self, assessment_id: UUID, essay: UUID, job: JobKey, reason: DegradedReason
    ) -> dict[UUID, EssayScore]:
        begun = (await self._begin({essay: job}))[essay]
        if begun.output is not None:
            return {essay: begun.output}
        grader = _NoGrader() if begun.lost >= MOST_LOST else self._grader
        return await self._grade(assessment_id, {essay: job}, {essay: reason}, grader)

    async def _grade(
        self,
        assessment_id: UUID,
        jobs: Mapping[UUID, JobKey],
        reasons: Mapping[UUID, DegradedReason],
        grader: EssayGrader | None = None,
    ) -> dict[UUID, EssayScore]:
        async with attempt(self._database, *jobs.values()):
            async with self._database.statement() as uow:
                items = await uow.assessments.items(assessment_id)
                essays = await with_reviews(uow, assessment_id, [essay_of(items, essay) for essay in jobs])
                spent = await uow.model_answers.spent(assessment_id) if _asked_a_model(reasons.values()) else {}
            essays = await self._copies.add(assessment_id, essays)
            graded = await (grader or self._grader).grade(essays)
            scores = [_with_reason(score, reasons[score.snapshot_id], spent.get(score.snapshot_id)) for score in graded]
            async with self._database.statement() as uow:
                await uow.jobs.succeed_all({jobs[score.snapshot_id]: score for score in scores})
        return {score.snapshot_id: score for score in scores}


class _NoGrader:
    """An EssayGrader that leaves every essay to a reviewer."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        for essay in essays:
            log.warning("essay_given_up", essay=str(essay.snapshot_id))
        return [ungraded_essay(essay) for essay in essays]


def _asked_a_model(reasons: Iterable[DegradedReason]) -> bool:
    return any(reason is not DegradedReason.ESSAY_GRADER_NOT_CONFIGURED for reason in reasons)


def _with_reason(score: EssayScore, reason: DegradedReason, spent: Spent | None) -> EssayScore:
    """Add the reason, unless the grader gave one, and the cost and latency of a model's rejected answers."""
    reason = score.degraded_reason or reason
    score = replace(score, degraded_reason=reason, needs_review=score.needs_review or reason.needs_person)
    if spent is None:
        return score
    return replace(
        score,
        latency_ms=score.latency_ms + spent.latency_ms,
        cost_cents=spent.cost_cents,
    )
