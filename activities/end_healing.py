"""End the healing of a degraded result."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import AssessmentStatus, Healing
from domain.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class HealingEnd:
    """`healing` is `final` when the time for healing is over, or `stopped` by an error with the code `reason`."""

    assessment_id: UUID
    healing: Healing
    reason: str | None = None


class EndHealing:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def end_healing(self, end: HealingEnd) -> Healing:
        """Return the new state. The published result stays; a healing that has already ended does not change.

        `stopped` is also recorded for a review that cannot be published, whether or not the result was degraded.
        """
        async with self._database.transaction() as uow:
            assessment, _ = await uow.assessments.lock(end.assessment_id)
            over = (
                {Healing.STOPPED} if end.healing is Healing.STOPPED else {Healing.NONE, Healing.FINAL, Healing.STOPPED}
            )
            if assessment.status is not AssessmentStatus.COMPLETED or assessment.healing in over:
                return assessment.healing
            await uow.assessments.save(assessment, assessment.end_healing(end.healing, end.reason))
            await uow.commit()
        return end.healing
