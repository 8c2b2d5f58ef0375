"""Claim an assessment for its workflow."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.steps import answered_essays
from domain.assessments.submission import expire
from domain.database import Database
from domain.webhooks.deliveries import Delivery


class ClaimOutcome(StrEnum):
    GO_ON = "go_on"
    FINISHED = "finished"
    NOT_DUE = "not_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimInput:
    assessment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The result of a claim. `status` is the assessment's status after the claim.

    The outcome `go_on` sets `run`, `revision`, the answered `essays` and `by_model` (True: a language model grades
    them). The outcome `not_due` sets `wait_s`, the seconds until expiry. `deliveries` notify partners of an assessment
    that expired without an answer.
    """

    outcome: ClaimOutcome
    status: AssessmentStatus
    run: int = 0
    revision: int = 0
    essays: tuple[UUID, ...] = ()
    wait_s: float = 0.0
    by_model: bool = False
    deliveries: tuple[Delivery, ...] = ()


class ClaimAssessment:
    def __init__(self, database: Database, *, by_model: bool = False) -> None:
        self._database = database
        self._by_model = by_model

    @activity.defn
    async def claim_assessment(self, claim: ClaimInput) -> Claim:
        """Claim a submitted assessment (idempotent).

        An expired assessment is submitted with the answers that exist; without any answer it fails.
        """
        async with self._database.transaction() as uow:
            assessment, now = await uow.assessments.lock(claim.assessment_id)
            deliveries: tuple[Delivery, ...] = ()
            if assessment.status is AssessmentStatus.IN_PROGRESS:
                if not assessment.is_due(now):
                    wait_s = (assessment.expires_at - now).total_seconds()
                    return Claim(outcome=ClaimOutcome.NOT_DUE, status=assessment.status, wait_s=wait_s)
                assessment, deliveries = await expire(uow, assessment)
            if assessment.status is not AssessmentStatus.AWAITING_ASYNC:
                await uow.commit()
                return Claim(outcome=ClaimOutcome.FINISHED, status=assessment.status, deliveries=deliveries)
            claimed = assessment.claim(now)
            if claimed is not assessment:
                await uow.assessments.save(assessment, claimed)
            essays = answered_essays(await uow.assessments.items(assessment.id))
            await uow.commit()
        return Claim(
            outcome=ClaimOutcome.GO_ON,
            status=claimed.status,
            run=claimed.run,
            revision=claimed.revision + 1,
            essays=essays,
            by_model=self._by_model,
        )
