"""Writes down that a run cannot be finished, so that nobody waits for it."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import AssessmentStatus
from domain.database import Database
from domain.webhooks.deliveries import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureInput:
    """`run` 0 means whichever run is current (the claim itself failed); `reason` is a code."""

    assessment_id: UUID
    run: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureResult:
    """The status after it, and which partners are to be told."""

    status: AssessmentStatus
    deliveries: tuple[Delivery, ...] = ()


class MarkFailed:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def mark_failed(self, failure: FailureInput) -> FailureResult:
        """Changes nothing when the run is over or another one has begun.

        An assessment in progress fails only when it is due, which is when even its expiry could not be written.
        """
        async with self._database.transaction() as uow:
            assessment, now = await uow.assessments.lock(failure.assessment_id)
            lost = failure.run == 0 and assessment.status is AssessmentStatus.IN_PROGRESS and assessment.is_due(now)
            unfinished = lost or assessment.status is AssessmentStatus.AWAITING_ASYNC
            if not unfinished or failure.run not in {0, assessment.run}:
                return FailureResult(status=assessment.status)
            failed = assessment.fail(failure.reason)
            deliveries = await uow.results.fail(assessment, failed)
            await uow.commit()
        return FailureResult(status=failed.status, deliveries=deliveries)
