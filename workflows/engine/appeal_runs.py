"""Start and signal the runs of appeals."""

from collections.abc import Sequence
from uuid import UUID

from domain.appeals import Appeal
from workflows.appeal import AppealInput, AppealWorkflow, attributes, summary, workflow_id
from workflows.engine import static_details
from workflows.engine.runs import TemporalRuns
from workflows.policies import organization_priority


class TemporalAppealRuns(TemporalRuns):
    """The port `AppealRuns`."""

    async def start(self, appeal: Appeal, signal: str | None = None) -> None:
        await self._ensure(
            AppealWorkflow.run,
            AppealInput(
                appeal_id=appeal.id,
                assessment_id=appeal.assessment_id,
                reminder_due_at=appeal.reminder_due_at,
                answer_due_at=appeal.answer_due_at,
            ),
            id_=workflow_id(appeal.id),
            summary=summary(appeal),
            details=static_details.APPEAL,
            attributes=attributes(appeal),
            priority=organization_priority(appeal.organization_id),
            signal=signal,
        )

    async def closed(self, appeal: Appeal) -> None:
        await self.start(appeal, signal="closed")

    async def live(self, appeals: Sequence[Appeal]) -> frozenset[UUID]:
        return await self._live({appeal.id: workflow_id(appeal.id) for appeal in appeals})
