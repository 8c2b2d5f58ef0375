"""Start and signal the runs of appeals. Each call has a timeout of one second."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from domain.appeals import Appeal
from workflows.appeal import AppealInput, AppealWorkflow, attributes, summary, workflow_id
from workflows.engine import static_details
from workflows.engine.calls import DEADLINE_S, EngineCalls
from workflows.policies import Queue, organization_priority


class TemporalAppealRuns:
    """The port `AppealRuns`, implemented with a (lazy) Temporal client."""

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
        self._deadline_s = deadline_s
        self._calls = EngineCalls(client, deadline_s, breaks=breaks)

    async def start(self, appeal: Appeal) -> None:
        await self._calls.make(lambda: self._start(appeal, signal=None))

    async def closed(self, appeal: Appeal) -> None:
        await self._calls.make(lambda: self._start(appeal, signal="closed"))

    async def live(self, appeals: Sequence[Appeal]) -> frozenset[UUID]:
        running = await self._calls.running([workflow_id(appeal.id) for appeal in appeals])
        return frozenset(appeal.id for appeal in appeals if workflow_id(appeal.id) in running)

    async def _start(self, appeal: Appeal, signal: str | None) -> None:
        await self._client.start_workflow(
            AppealWorkflow.run,
            AppealInput(
                appeal_id=appeal.id,
                assessment_id=appeal.assessment_id,
                reminder_due_at=appeal.reminder_due_at,
                answer_due_at=appeal.answer_due_at,
            ),
            id=workflow_id(appeal.id),
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=signal,
            static_summary=summary(appeal),
            static_details=static_details.APPEAL,
            search_attributes=attributes(appeal),
            priority=organization_priority(appeal.organization_id),
            rpc_timeout=timedelta(seconds=self._deadline_s),
        )
