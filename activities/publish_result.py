"""Puts a run's outputs together and publishes them, in one transaction."""

from temporalio import activity

from activities.steps import RunInput, attempt, scores
from domain.assessments.results import Publication, Result
from domain.assessments.steps import Step
from domain.ports import UnitOfWork, UnitOfWorkFactory
from domain.recommending.recommendations import Blend, Evidence


class PublishResult:
    def __init__(self, units: UnitOfWorkFactory) -> None:
        self._units = units

    @activity.defn
    async def publish_result(self, run: RunInput) -> Publication:
        """The publication; a repeated call returns the one that was made."""
        key = run.job(Step.PUBLISH_RESULT)
        async with self._units(autocommit=True) as unit:
            begun = await unit.jobs.begin(key, Publication)
            await unit.commit()
        if begun.output is not None:
            return begun.output
        async with attempt(self._units, key):
            return await self._publish(run)

    async def _publish(self, run: RunInput) -> Publication:
        async with self._units() as unit:
            assessment, now = await unit.assessments.lock(run.assessment_id)
            if (assessment.run, assessment.revision) == (run.run, run.revision):
                # An attempt that was given up for lost published while this one waited for the lock.
                return await unit.jobs.output(run.job(Step.PUBLISH_RESULT), Publication)
            result = await _result(unit, run)
            publication = await unit.results.publish(assessment, now, result)
            await unit.reviews.published(result.evidence.reviews, run.revision)
            await unit.jobs.succeed(run.job(Step.PUBLISH_RESULT), publication)
            await unit.commit()
        return publication


async def _result(unit: UnitOfWork, run: RunInput) -> Result:
    items = await unit.assessments.items(run.assessment_id)
    evidence = await unit.jobs.output(run.job(Step.RETRIEVE_EVIDENCE), Evidence)
    # A review that came after the gaps were computed makes the next revision: ranking and scores must agree.
    scored = await scores(unit, run, items, evidence.reviews)
    return Result(
        rule_scores=scored.rules,
        essay_scores=scored.essays,
        evidence=evidence,
        blend=await unit.jobs.output(run.job(Step.BLEND_RECOMMENDATIONS), Blend),
        lowered=scored.lowered,
    )
