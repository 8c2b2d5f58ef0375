"""Says what a later revision of a published result has to do, or that there is nothing to do."""

from dataclasses import dataclass, replace
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.steps import revision_jobs
from domain.database import Database, Repositories


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRequest:
    """`heal`: degraded parts are to be tried again now; what people reviewed is always published."""

    assessment_id: UUID
    heal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayToRegrade:
    """`epoch` is the one its last answers were asked for in."""

    essay: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionPlan:
    """What to do now (`reviews`, `essays`, `evidence`), as `revision` of `run`.

    `healing`: the result is still to be healed, now or later.
    """

    run: int = 0
    revision: int = 0
    reviews: bool = False
    essays: tuple[EssayToRegrade, ...] = ()
    evidence: bool = False
    healing: bool = False


class BeginRevision:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def begin_revision(self, wish: RevisionRequest) -> RevisionPlan:
        """Reviews first, so that nobody waits for a model to see what a person decided; then healing.

        The steps of the revision start afresh: an earlier attempt at it published nothing, and the answers it bought
        are in the ledger.
        """
        async with self._database.transaction() as uow:
            assessment, _ = await uow.assessments.lock(wish.assessment_id)
            if assessment.status is not AssessmentStatus.COMPLETED:
                return RevisionPlan()
            plan = await _plan(uow, assessment, heal=wish.heal)
            if plan.reviews or plan.essays or plan.evidence:
                await uow.jobs.restart(revision_jobs(assessment, (each.essay for each in plan.essays)))
            await uow.commit()
        return plan


async def _plan(uow: Repositories, assessment: Assessment, *, heal: bool) -> RevisionPlan:
    waiting = assessment.healing is Healing.DUE
    plan = RevisionPlan(run=assessment.run, revision=assessment.revision + 1, healing=waiting)
    if any(review.published_revision is None for review in await uow.reviews.of(assessment.id)):
        return replace(plan, reviews=True)
    if not (waiting and heal):
        return plan
    published = await uow.results.published(assessment.id)
    epochs = await uow.model_answers.epochs(assessment.id)
    essays = [essay for essay in published.scores.essays if essay.degraded_reason and essay.degraded_reason.heals]
    return replace(
        plan,
        essays=tuple(
            EssayToRegrade(essay=essay.snapshot_id, epoch=epochs.get(essay.snapshot_id, 0)) for essay in essays
        ),
        evidence=any(reason.of_search for reason in published.degraded_reasons),
    )
