"""Writes down that a degraded result will not become better by itself any more."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.assessments.lifecycle import AssessmentStatus, Healing
from domain.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class HealingEnd:
    """`final` when the time for it is over, `stopped` by an error, whose code is `reason`."""

    assessment_id: UUID
    healing: Healing
    reason: str | None = None


class EndHealing:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def end_healing(self, end: HealingEnd) -> Healing:
        """What stands after it. The published result stays; a healing that is over already is left alone.

        A review that cannot be published stops too, whether or not anything was to be healed.
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
