"""Start the runs of re-scores. Each call has a timeout of one second."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from domain.rescores.rescores import Rescore
from workflows.engine import search_attributes, static_details
from workflows.engine.calls import DEADLINE_S, EngineCalls
from workflows.policies import Queue, background_priority
from workflows.rescore import RescoreInput, RescoreWorkflow


class TemporalRescoreRuns:
    """The port `RescoreRuns`, implemented with a (lazy) Temporal client."""

    def __init__(
        self,
        client: Client,
        queue: str = Queue.ASSESSMENTS,
        deadline_s: float = DEADLINE_S,
        *,
        breaks: bool = True,
    ) -> None:
        self._client = client
        self._queue = queue
        self._deadline = timedelta(seconds=deadline_s)
        self._calls = EngineCalls(client, deadline_s, breaks=breaks)

    async def start(self, rescore: Rescore) -> None:
        await self._calls.make(lambda: self._start(rescore))

    async def live(self, rescores: Sequence[Rescore]) -> frozenset[UUID]:
        running = await self._calls.running([workflow_id(rescore.id) for rescore in rescores])
        return frozenset(rescore.id for rescore in rescores if workflow_id(rescore.id) in running)

    async def _start(self, rescore: Rescore) -> None:
        """Start a run, or signal the live one, which may be about to end."""
        await self._client.start_workflow(
            RescoreWorkflow.run,
            RescoreInput(
                rescore_id=rescore.id,
                status=rescore.status,
                done=rescore.done,
                total=rescore.total or 0,
                cents=rescore.cents,
            ),
            id=workflow_id(rescore.id),
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="changed",
            static_summary=f"Re-score {rescore.id}: {rescore.scope}",
            static_details=static_details.RESCORE,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(search_attributes.ORGANIZATION_ID, str(rescore.organization_id))]
            ),
            priority=background_priority(rescore.organization_id),
            rpc_timeout=self._deadline,
        )


def workflow_id(rescore_id: UUID) -> str:
    return f"rescore-{rescore_id}"
