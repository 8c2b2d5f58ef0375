"""Start the runs of re-scores."""

from collections.abc import Sequence
from uuid import UUID

from domain.rescores.rescores import Rescore
from workflows.engine import static_details
from workflows.engine.runs import TemporalRuns, of_organization
from workflows.policies import background_priority
from workflows.rescore import RescoreInput, RescoreWorkflow


class TemporalRescoreRuns(TemporalRuns):
    """The port `RescoreRuns`."""

    async def start(self, rescore: Rescore) -> None:
        """Start a run, or signal the live one, which may be about to end."""
        await self._ensure(
            RescoreWorkflow.run,
            RescoreInput(
                rescore_id=rescore.id,
                status=rescore.status,
                done=rescore.done,
                total=rescore.total or 0,
                cents=rescore.cents,
            ),
            id_=workflow_id(rescore.id),
            summary=f"Re-score {rescore.id}: {rescore.scope}",
            details=static_details.RESCORE,
            attributes=of_organization(rescore.organization_id),
            priority=background_priority(rescore.organization_id),
            signal="changed",
        )

    async def live(self, rescores: Sequence[Rescore]) -> frozenset[UUID]:
        return await self._live({rescore.id: workflow_id(rescore.id) for rescore in rescores})


def workflow_id(rescore_id: UUID) -> str:
    return f"rescore-{rescore_id}"
