"""Claim an assessment for its workflow.

`score_rules` claims the assessment, too. The activity `claim_assessment` is for runs that an earlier build started.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.steps import answered_essays
from domain.assessments.submission import expire
from domain.database import Database, Repositories
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
        """Claim a submitted assessment (idempotent)."""
        async with self._database.transaction() as uow:
            claimed = await claim_run(uow, claim.assessment_id, by_model=self._by_model)
            if claimed.outcome is ClaimOutcome.GO_ON:
                items = await uow.assessments.items(claim.assessment_id)
                claimed = replace(claimed, essays=answered_essays(items))
            await uow.commit()
        return claimed


async def claim_run(uow: Repositories, assessment_id: UUID, *, by_model: bool) -> Claim:
    """Claim a submitted assessment in the caller's transaction (idempotent). The claim does not list the essays yet.

    An expired assessment is submitted with the answers that exist; without any answer it fails.
    """
    assessment, now = await uow.assessments.lock(assessment_id)
    deliveries: tuple[Delivery, ...] = ()
    if assessment.status is AssessmentStatus.IN_PROGRESS:
        if not assessment.is_due(now):
            wait_s = (assessment.expires_at - now).total_seconds()
            return Claim(outcome=ClaimOutcome.NOT_DUE, status=assessment.status, wait_s=wait_s)
        assessment, deliveries = await expire(uow, assessment)
    if assessment.status is not AssessmentStatus.AWAITING_ASYNC:
        return Claim(outcome=ClaimOutcome.FINISHED, status=assessment.status, deliveries=deliveries)
    claimed = assessment.claim(now)
    if claimed is not assessment:
        await uow.assessments.save(assessment, claimed)
    return Claim(
        outcome=ClaimOutcome.GO_ON,
        status=claimed.status,
        run=claimed.run,
        revision=claimed.revision + 1,
        by_model=by_model,
    )
