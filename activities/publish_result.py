"""Assemble the result from a run's outputs and publish it in one transaction.

`blend_recommendations` publishes, too. The activity `publish_result` is for runs that an earlier build started.
"""

from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities.steps import RunInput, attempt, scores
from domain.assessments.lifecycle import Assessment
from domain.assessments.results import Publication, Result
from domain.assessments.steps import Step
from domain.database import Database, Repositories
from domain.errors import Conflict
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
            return await publish_run(self._database, run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The ranking, and the evidence that it is from."""

    evidence: Evidence
    blend: Blend


async def publish_run(database: Database, run: RunInput, ranked: Ranked | None = None) -> Publication:
    """Publish the run's result and end its job `publish_result`, in one transaction.

    Without `ranked`, the steps have stored it. If an earlier attempt has published the result, return that publication.

    Raises:
        Conflict: another run or revision has followed.
    """
    async with database.transaction() as uow:
        assessment, now = await uow.assessments.lock(run.assessment_id)
        if (assessment.run, assessment.revision) == (run.run, run.revision):
            # An earlier attempt timed out but published the result while this attempt waited for the lock.
            return await uow.jobs.output(run.job(Step.PUBLISH_RESULT), Publication)
        if (assessment.run, assessment.revision + 1) != (run.run, run.revision):
            raise Conflict(f"Run {run.run} of assessment {assessment.id} has ended")
        ranked = ranked or await _stored(uow, run)
        publication = await publish_revision(uow, assessment, now, await _result(uow, run, ranked))
        await uow.commit()
    return publication


async def publish_revision(uow: Repositories, assessment: Assessment, now: datetime, result: Result) -> Publication:
    """Publish the next revision of a locked assessment, and record it in the reviews that it includes."""
    publication = await uow.results.publish(assessment, now, result)
    await uow.reviews.published(result.evidence.reviews, publication.revision)
    return publication


async def _stored(uow: Repositories, run: RunInput) -> Ranked:
    return Ranked(
        evidence=await uow.jobs.output(run.job(Step.RETRIEVE_EVIDENCE), Evidence),
        blend=await uow.jobs.output(run.job(Step.BLEND_RECOMMENDATIONS), Blend),
    )


async def _result(uow: Repositories, run: RunInput, ranked: Ranked) -> Result:
    items = await uow.assessments.items(run.assessment_id)
    # A review stored after the gaps were computed is left to the next revision, because ranking and scores must agree.
    scored = await scores(uow, run, items, ranked.evidence.reviews)
    return Result(rule_scores=scored.rules, essay_scores=scored.essays, evidence=ranked.evidence, blend=ranked.blend)
