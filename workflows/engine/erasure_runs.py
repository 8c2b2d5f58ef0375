"""Start the runs of erasures, and end the runs about the erased users."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import Priority
from temporalio.service import RPCError, RPCStatusCode

from domain.privacy import Erasure
from domain.webhooks.deliveries import Delivery
from workflows import appeal, webhook_delivery
from workflows.engine import assessment_runs, static_details
from workflows.engine.calls import DEADLINE_S, LIVE_PAGE
from workflows.engine.runs import TemporalRuns, of_organization
from workflows.user_erasure import UserErasureWorkflow

AT_ONCE: Final = 8
_NAMES: Final = (assessment_runs.workflow_id, assessment_runs.revision_workflow_id)
TERMINATED_AFTER_S: Final = 30.0
"""Timeout of a cancellation. A run that is still open then, such as a stuck one, is terminated."""


class TemporalErasureRuns(TemporalRuns):
    """The ports `ErasureRuns` and `LiveRuns`."""

    def __init__(
        self,
        client: Client,
        queue: str | None = None,
        deadline_s: float = DEADLINE_S,
        terminated_after_s: float = TERMINATED_AFTER_S,
        *,
        breaks: bool = True,
    ) -> None:
        super().__init__(client, queue, deadline_s, breaks=breaks)
        self._terminated_after_s = terminated_after_s

    async def start(self, erasure: Erasure) -> None:
        organization = str(erasure.organization_id or "platform")
        await self._ensure(
            UserErasureWorkflow.run,
            erasure,
            id_=workflow_id(erasure.id),
            summary=f"Erase user {erasure.id}",
            details=static_details.ERASURE,
            attributes=of_organization(organization),
            priority=Priority(fairness_key=organization),
        )

    async def live(self, erasures: Sequence[Erasure]) -> frozenset[UUID]:
        return await self._live({erasure.id: workflow_id(erasure.id) for erasure in erasures})

    async def stop(
        self, assessment_ids: Sequence[UUID], deliveries: Sequence[Delivery], appeal_ids: Sequence[UUID] = ()
    ) -> None:
        """End the runs, one kind after the other, because a run that has not ended may start a run of the next kind."""
        await self._stop_all(map(assessment_runs.workflow_id, assessment_ids))
        await self._stop_all(map(assessment_runs.revision_workflow_id, assessment_ids))
        await self._stop_all(map(appeal.workflow_id, appeal_ids))
        await self._stop_all(map(webhook_delivery.workflow_id, deliveries))

    async def delete(self, assessment_ids: Sequence[UUID], appeal_ids: Sequence[UUID] = ()) -> int:
        """Delete what the visibility index has, which is every run since a moment after its start."""
        ids = [name(each) for each in assessment_ids for name in _NAMES]
        ids += map(appeal.workflow_id, appeal_ids)
        pages = [ids[start : start + LIVE_PAGE] for start in range(0, len(ids), LIVE_PAGE)]
        runs = [run for page in pages for run in await self._calls.found(page)]
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(run: WorkflowExecution) -> None:
            async with turns:
                await self._found(lambda: self._delete(run))

        await asyncio.gather(*map(in_turn, runs))
        return len(runs)

    async def _delete(self, run: WorkflowExecution) -> None:
        which = WorkflowExecutionId(workflow_id=run.id, run_id=run.run_id)
        request = DeleteWorkflowExecutionRequest(namespace=self._client.namespace, workflow_execution=which)
        await self._client.workflow_service.delete_workflow_execution(request, retry=True, timeout=self._deadline)

    async def _stop_all(self, ids: Iterable[str]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(id_: str) -> None:
            async with turns:
                await self._stop(self._client.get_workflow_handle(id_))

        await asyncio.gather(*map(in_turn, ids))

    async def _stop(self, run: WorkflowHandle[object, object]) -> None:
        if not await self._found(lambda: run.cancel(rpc_timeout=self._deadline)):
            return
        try:
            async with asyncio.timeout(self._terminated_after_s):
                while await self._is_running(run):  # noqa: ASYNC110  # the server does not notify
                    await asyncio.sleep(0.1)
        except TimeoutError:
            await self._found(lambda: run.terminate(reason="The user is being erased", rpc_timeout=self._deadline))

    async def _is_running(self, run: WorkflowHandle[object, object]) -> bool:
        running = False

        async def describe() -> None:
            nonlocal running
            running = (await run.describe(rpc_timeout=self._deadline)).status is WorkflowExecutionStatus.RUNNING

        return await self._found(describe) and running

    async def _found(self, call: Callable[[], Awaitable[None]]) -> bool:
        """Make the call. Return False if the run does not exist or has ended."""
        found = True

        async def made() -> None:
            nonlocal found
            try:
                await call()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                found = False

        await self._calls.make(made)
        return found


def workflow_id(user_id: UUID) -> str:
    return f"erase-{user_id}"
