"""Grades essays without a language model: all that are left of an assessment, in one batch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from temporalio import activity

from activities.essays import essay_of
from activities.steps import RunInput, record_failure
from domain.ports import EssayGrader, JobKey, UnitOfWorkFactory
from domain.scores import DegradedReason, EssayScore, Spent
from domain.steps import Step


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
    """How many were scored, and how many of them wait for a person."""

    scored: int
    needs_review: int


class ScoreEssaysLocally:
    def __init__(self, units: UnitOfWorkFactory, grader: EssayGrader) -> None:
        self._units = units
        self._grader = grader

    @activity.defn
    async def score_essays_locally(self, batch: EssaysInput) -> EssaysResult:
        """Each essay closes its own job; those scored by an earlier attempt are not graded again."""
        jobs = {left.essay: batch.run.job(Step.SCORE_ESSAY, left.essay) for left in batch.essays}
        scores = await self._stored(jobs)
        missing = {left.essay: left.reason for left in batch.essays if left.essay not in scores}
        if missing:
            scores |= await self._grade(batch.run.assessment_id, jobs, missing)
        return EssaysResult(scored=len(scores), needs_review=sum(score.needs_review for score in scores.values()))

    async def _stored(self, jobs: Mapping[UUID, JobKey]) -> dict[UUID, EssayScore]:
        async with self._units(autocommit=True) as unit:
            begun = {essay: await unit.jobs.begin(job, EssayScore) for essay, job in jobs.items()}
            await unit.commit()
        return {essay: score for essay, score in begun.items() if score is not None}

    async def _grade(
        self, assessment_id: UUID, jobs: Mapping[UUID, JobKey], missing: Mapping[UUID, DegradedReason]
    ) -> dict[UUID, EssayScore]:
        try:
            async with self._units(autocommit=True) as unit:
                items = await unit.assessments.items(assessment_id)
                labelled = await unit.reviews.labelled(assessment_id)
                spent = await unit.model_answers.spent(assessment_id) if _asked_a_model(missing) else {}
            essays = [essay_of(items, essay) for essay in missing]
            essays = [replace(essay, labelled=labelled.get(essay.rubric_version, ())) for essay in essays]
            graded = await self._grader.grade(essays)
            scores = [_explained(score, missing[score.snapshot_id], spent.get(score.snapshot_id)) for score in graded]
            async with self._units(autocommit=True) as unit:
                for score in scores:
                    await unit.jobs.succeed(jobs[score.snapshot_id], score)
                await unit.commit()
        except Exception as error:
            for essay in missing:
                await record_failure(self._units, jobs[essay], error)
            raise
        return {score.snapshot_id: score for score in scores}


def _asked_a_model(missing: Mapping[UUID, DegradedReason]) -> bool:
    return any(reason is not DegradedReason.ESSAY_GRADER_NOT_CONFIGURED for reason in missing.values())


def _explained(score: EssayScore, reason: DegradedReason, spent: Spent | None) -> EssayScore:
    """With the reason, and with what rejected answers of a model cost before."""
    score = replace(score, degraded_reason=reason, needs_review=score.needs_review or reason.needs_person)
    if spent is None:
        return score
    return replace(
        score,
        latency_ms=score.latency_ms + spent.latency_ms,
        cost_cents=spent.cost_cents,
    )
