"""Takes up an assessment for its workflow, or says why there is nothing to take up."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from temporalio import activity

from domain.assessments import Assessment, AssessmentStatus
from domain.ports import UnitOfWork, UnitOfWorkFactory
from domain.steps import answered_essays, submission_jobs


class ClaimOutcome(StrEnum):
    GO_ON = "go_on"
    FINISHED = "finished"
    NOT_DUE = "not_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimInput:
    assessment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`run`, `revision` and `essays` (answered ones) on `go_on`; `wait_s` until expiry on `not_due`.

    `status` is the row's status after the claim.
    """

    outcome: ClaimOutcome
    status: AssessmentStatus
    run: int = 0
    revision: int = 0
    essays: tuple[UUID, ...] = ()
    wait_s: float = 0.0


class ClaimAssessment:
    def __init__(self, units: UnitOfWorkFactory) -> None:
        self._units = units

    @activity.defn
    async def claim_assessment(self, claim: ClaimInput) -> Claim:
        """Idempotent, whoever claimed before; on expiry it submits what exists or fails the assessment."""
        async with self._units() as unit:
            assessment, now = await unit.assessments.lock(claim.assessment_id)
            if assessment.status is AssessmentStatus.IN_PROGRESS:
                if not assessment.is_due(now):
                    wait_s = (assessment.expires_at - now).total_seconds()
                    return Claim(outcome=ClaimOutcome.NOT_DUE, status=assessment.status, wait_s=wait_s)
                assessment = await _expire(unit, assessment)
            if assessment.status is not AssessmentStatus.AWAITING_ASYNC:
                await unit.commit()
                return Claim(outcome=ClaimOutcome.FINISHED, status=assessment.status)
            claimed = assessment.claim(now)
            if claimed is not assessment:
                await unit.assessments.save(assessment, claimed)
            essays = answered_essays(await unit.assessments.items(assessment.id))
            await unit.commit()
        return Claim(
            outcome=ClaimOutcome.GO_ON,
            status=claimed.status,
            run=claimed.run,
            revision=claimed.revision + 1,
            essays=essays,
        )


async def _expire(unit: UnitOfWork, assessment: Assessment) -> Assessment:
    items = await unit.assessments.items(assessment.id)
    expired = assessment.expire(answered=any(item.answer is not None for item in items))
    if expired.status is AssessmentStatus.AWAITING_ASYNC:
        await unit.assessments.save(assessment, expired)
        await unit.jobs.enqueue(submission_jobs(expired, items))
    else:
        await unit.results.fail(assessment, expired)
    return expired
