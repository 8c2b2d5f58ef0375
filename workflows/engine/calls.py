"""Calls to the Temporal server with a timeout and a circuit breaker."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from domain.errors import ExternalServiceError

# If the server is down, the SDK blocks for 6 to 30 s even with a shorter `rpc_timeout`.
DEADLINE_S: Final = 1.0
LIVE_PAGE: Final = 200


class EngineCalls:
    """After five consecutive failures, a breaker rejects calls for ten seconds. Reconciliation repeats missed calls."""

    def __init__(self, client: Client, deadline_s: float) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=10)

    async def make(self, call: Callable[[], Awaitable[None]], deadline_s: float | None = None) -> None:
        """Make a call.

        Raises:
            ExternalServiceError: the call failed or timed out, or the breaker is open.
        """
        try:
            async with await self._breakers.get_breaker("temporal"), asyncio.timeout(deadline_s or self._deadline_s):
                await call()
        except (RPCError, TimeoutError, RuntimeError, OpenedState) as error:
            # A lazy client that cannot connect raises RuntimeError.
            raise ExternalServiceError("The workflow engine did not accept the call") from error

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

        await self.make(list_runs, deadline_s=10 * self._deadline_s)
        return found
