"""Grades essays without a language model: all that are left of an assessment, in one batch."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.steps import RunInput, record_failure
from domain.errors import CorruptData
from domain.ports import Essay, EssayGrader, JobKey, UnitOfWorkFactory
from domain.questions import EssayRubric, Item
from domain.scores import EssayScore
from domain.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class EssaysInput:
    run: RunInput
    essays: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EssaysResult:
    """How many were scored, how many wait for a person, and why the result is degraded, if it is."""

    scored: int
    needs_review: int
    degraded_reasons: tuple[str, ...]


class ScoreEssaysLocally:
    def __init__(self, units: UnitOfWorkFactory, grader: EssayGrader) -> None:
        self._units = units
        self._grader = grader

    @activity.defn
    async def score_essays_locally(self, batch: EssaysInput) -> EssaysResult:
        """Each essay closes its own job; those scored by an earlier attempt are not graded again."""
        keys = {essay: batch.run.job(Step.SCORE_ESSAY, essay) for essay in batch.essays}
        scores = await self._stored(keys)
        missing = [essay for essay in batch.essays if essay not in scores]
        if missing:
            scores |= await self._grade(batch.run.assessment_id, {essay: keys[essay] for essay in missing})
        reasons = {score.degraded_reason for score in scores.values() if score.degraded_reason}
        return EssaysResult(
            scored=len(scores),
            needs_review=sum(score.needs_review for score in scores.values()),
            degraded_reasons=tuple(sorted(reasons)),
        )

    async def _stored(self, keys: dict[UUID, JobKey]) -> dict[UUID, EssayScore]:
        async with self._units(autocommit=True) as unit:
            begun = {essay: await unit.jobs.begin(key, EssayScore) for essay, key in keys.items()}
            await unit.commit()
        return {essay: score for essay, score in begun.items() if score is not None}

    async def _grade(self, assessment_id: UUID, keys: dict[UUID, JobKey]) -> dict[UUID, EssayScore]:
        try:
            async with self._units(autocommit=True) as unit:
                items = await unit.assessments.items(assessment_id)
            essays = [_essay(item) for item in items if item.snapshot_id in keys]
            scores = await self._grader.grade(essays)
            async with self._units(autocommit=True) as unit:
                for score in scores:
                    await unit.jobs.succeed(keys[score.snapshot_id], score)
                await unit.commit()
        except Exception as error:
            for key in keys.values():
                await record_failure(self._units, key, error)
            raise
        return {score.snapshot_id: score for score in scores}


def _essay(item: Item) -> Essay:
    match item.question.rubric, item.answer:
        case EssayRubric() as rubric, str() as text:
            return Essay(
                snapshot_id=item.snapshot_id,
                prompt=item.question.prompt,
                rubric=rubric,
                rubric_version=item.question.version,
                text=text,
            )
        case _:
            raise CorruptData(f"Item {item.snapshot_id} is no answered essay")
