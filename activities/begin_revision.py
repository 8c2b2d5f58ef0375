"""Plan a later revision of a published result."""

from dataclasses import dataclass, replace
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.steps import revision_jobs
from domain.database import Database, Repositories


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRequest:
    """`heal` asks for another try of the degraded parts now. Stored reviews are published in either case."""

    assessment_id: UUID
    heal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayToRegrade:
    """An essay to grade again; `epoch` is the epoch of its latest model answers, or 0."""

    essay: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionPlan:
    """What `revision` of `run` does now: publish reviews, grade essays, search for evidence; by default nothing.

    `healing` is True while the result still waits for healing, now or later.
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
    async def begin_revision(self, request: RevisionRequest) -> RevisionPlan:
        """Plan the revision: reviews first, then healing.

        A reviewed result must not wait for a model. The jobs of the revision are reset: an earlier attempt published
        nothing, and the answers that it paid for are in the ledger.
        """
        async with self._database.transaction() as uow:
            assessment, _ = await uow.assessments.lock(request.assessment_id)
            if assessment.status is not AssessmentStatus.COMPLETED:
                return RevisionPlan()
            plan = await _plan(uow, assessment, heal=request.heal)
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
