"""Calls to the Temporal server with a timeout and a circuit breaker."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.adapters.circuit import Circuit, CircuitOpen
from domain.errors import ExternalServiceError

# If the server is down, the SDK blocks for 6 to 30 s even with a shorter `rpc_timeout`.
DEADLINE_S: Final = 1.0
SWEEP_DEADLINE_S: Final = 10.0
"""The deadline of reconciliation's calls. No user waits for them."""
INDEX_DEADLINE_S: Final = 10.0
OPEN_S: Final = 10.0
LIVE_PAGE: Final = 200


async def signal_once(client: Client, workflow_id: str, signal: str, key: str, *, rpc_timeout: timedelta) -> None:
    """Signal a run. The server drops a repeated signal with the same `key`, without an event in the run's history.

    Raises:
        RPCError: no such run is open, or the call failed.
    """
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecutionId(workflow_id=workflow_id),
        signal_name=signal,
        identity=client.identity,
        request_id=f"{signal}-{key}",
    )
    await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=rpc_timeout)


class EngineCalls:
    """After five consecutive failures, a breaker rejects calls for ten seconds, and then until one call succeeds.

    Reconciliation repeats missed calls. It has no breaker itself (`breaks` False): five rows whose calls fail must not
    prevent those of others.

    Calls of `workflow_service` need `retry=True`, unlike the client's own methods. The server closes each connection
    after some minutes; without a retry, a call that is being sent then fails with "operation was canceled".
    """

    def __init__(self, client: Client, deadline_s: float, *, breaks: bool = True) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._circuit = Circuit(threshold=5 if breaks else sys.maxsize, open_s=OPEN_S, fails=lambda _: True)

    async def make(self, call: Callable[[], Awaitable[None]], deadline_s: float | None = None) -> None:
        """Make a call.

        Raises:
            ExternalServiceError: the call failed or timed out, or the breaker is open.
        """
        try:
            with self._circuit.entered():
                async with asyncio.timeout(deadline_s or self._deadline_s):
                    await call()
        except (RPCError, TimeoutError, RuntimeError, CircuitOpen) as error:
            # A lazy client that cannot connect raises RuntimeError.
            raise ExternalServiceError("The workflow engine did not accept the call") from error

    async def signal_hourly(self, workflow_id: str, signal: str, key: str) -> bool:
        """Signal a live run, unless it has had this signal with this `key` within the hour. Return whether one is live.

        The server drops a repeated signal by its request id, without an event in the run's history, also after the run
        has ended. Whether it has ended is therefore read first, from the server's state and not from the index.

        Raises:
            ExternalServiceError: the call failed or timed out.
        """
        live = True

        async def call() -> None:
            nonlocal live
            timeout = timedelta(seconds=self._deadline_s)
            try:
                described = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=timeout)
                live = described.status is WorkflowExecutionStatus.RUNNING
                if not live:
                    return
                await signal_once(
                    self._client, workflow_id, signal, f"{key}-{datetime.now(UTC):%Y%m%d%H}", rpc_timeout=timeout
                )
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                live = False

        await self.make(call)
        return live

    async def running(self, workflow_ids: Collection[str]) -> frozenset[str]:
        """Return those ids whose workflow is running, by the server's visibility index.

        Raises:
            ValueError: more than LIVE_PAGE ids are given.
        """
        return frozenset(run.id for run in await self.found(workflow_ids, "ExecutionStatus = 'Running' AND "))

    async def found(self, workflow_ids: Collection[str], condition: str = "") -> list[WorkflowExecution]:
        """Return all runs with these ids that the server's visibility index has, open or closed.

        Raises:
            ValueError: more than LIVE_PAGE ids are given.
        """
        if len(workflow_ids) > LIVE_PAGE:
            raise ValueError(f"at most {LIVE_PAGE} ids a call")
        ids = ", ".join(f"'{each}'" for each in workflow_ids)
        found: list[WorkflowExecution] = []

        async def list_runs() -> None:
            found.extend([run async for run in self._client.list_workflows(f"{condition}WorkflowId IN ({ids})")])

        await self.make(list_runs, deadline_s=max(INDEX_DEADLINE_S, self._deadline_s))
        return found
