"""Assemble the result from a run's outputs and publish it in one transaction."""

from datetime import datetime

from temporalio import activity

from activities.steps import RunInput, attempt, scores
from domain.assessments.lifecycle import Assessment
from domain.assessments.results import Publication, Result
from domain.assessments.steps import Step
from domain.database import Database, Repositories
from domain.recommending.recommendations import Blend, Evidence


class PublishResult:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def publish_result(self, run: RunInput) -> Publication:
        """Publish the result; a repeated call returns the first publication."""
        key = run.job(Step.PUBLISH_RESULT)
        async with self._database.statement() as uow:
            begun = await uow.jobs.begin(key, Publication)
        if begun.output is not None:
            return begun.output
        async with attempt(self._database, key):
            return await self._publish(run)

    async def _publish(self, run: RunInput) -> Publication:
        async with self._database.transaction() as uow:
            assessment, now = await uow.assessments.lock(run.assessment_id)
            if (assessment.run, assessment.revision) == (run.run, run.revision):
                # An earlier attempt timed out but published the result while this attempt waited for the lock.
                return await uow.jobs.output(run.job(Step.PUBLISH_RESULT), Publication)
            publication = await publish_revision(uow, assessment, now, await _result(uow, run))
            await uow.jobs.succeed(run.job(Step.PUBLISH_RESULT), publication)
            await uow.commit()
        return publication


async def publish_revision(uow: Repositories, assessment: Assessment, now: datetime, result: Result) -> Publication:
    """Publish the next revision of a locked assessment, and record it in the reviews that it includes."""
    publication = await uow.results.publish(assessment, now, result)
    await uow.reviews.published(result.evidence.reviews, publication.revision)
    return publication


async def _result(uow: Repositories, run: RunInput) -> Result:
    items = await uow.assessments.items(run.assessment_id)
    evidence = await uow.jobs.output(run.job(Step.RETRIEVE_EVIDENCE), Evidence)
    # A review stored after the gaps were computed is left to the next revision, because ranking and scores must agree.
    scored = await scores(uow, run, items, evidence.reviews)
    return Result(
        rule_scores=scored.rules,
        essay_scores=scored.essays,
        evidence=evidence,
        blend=await uow.jobs.output(run.job(Step.BLEND_RECOMMENDATIONS), Blend),
    )
