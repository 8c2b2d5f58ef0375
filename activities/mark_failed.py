"""Mark the assessment of a run that cannot finish as failed."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import AssessmentStatus
from domain.database import Database
from domain.webhooks.deliveries import Delivery

NO_RUN: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureInput:
    """`run` 0 means the current run (the claim itself failed); NO_RUN reads the status and marks nothing.

    `reason` is an error code.
    """

    assessment_id: UUID
    run: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureResult:
    """The assessment's status afterwards, and the deliveries that notify partners."""

    status: AssessmentStatus
    deliveries: tuple[Delivery, ...] = ()


class MarkFailed:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def mark_failed(self, failure: FailureInput) -> FailureResult:
        """Mark the assessment as failed, unless the run has ended or a newer one has started.

        An assessment in progress fails only when it is due, that is, when its expiry could not be stored.
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
