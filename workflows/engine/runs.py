"""What the adapters share that start runs: a client, a queue, calls with a timeout, and the options of a start."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from workflows.engine import search_attributes
from workflows.engine.calls import DEADLINE_S, EngineCalls
from workflows.policies import Queue

Input = TypeVar("Input")


class TemporalRuns:
    """Base class of the adapters, with a (lazy) Temporal client. Each call has a timeout of one second by default."""

    default_queue: ClassVar[str] = Queue.ASSESSMENTS

    def __init__(
        self, client: Client, queue: str | None = None, deadline_s: float = DEADLINE_S, *, breaks: bool = True
    ) -> None:
        self._client = client
        self._queue = queue or self.default_queue
        self._deadline = timedelta(seconds=deadline_s)
        self._calls = EngineCalls(client, deadline_s, breaks=breaks)

    async def _ensure(  # noqa: PLR0913  # what Temporal is told of a run
        self,
        run: Callable[[Any, Input], Awaitable[object]],
        argument: Input,
        *,
        id_: str,
        summary: str,
        details: str,
        attributes: TypedSearchAttributes | None = None,
        priority: Priority = Priority.default,
        signal: str | None = None,
    ) -> None:
        """Start a run, unless one with this id is live. With `signal`, signal the run that was started or is live.

        Raises:
            ExternalServiceError: the call failed or timed out, or the breaker is open.
        """

        async def start() -> None:
            await self._client.start_workflow(
                run,
                argument,
                id=id_,
                task_queue=self._queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=signal,
                static_summary=summary,
                static_details=details,
                search_attributes=attributes,
                priority=priority,
                rpc_timeout=self._deadline,
            )

        await self._calls.make(start)

    async def _live(self, workflow_ids: Mapping[UUID, str]) -> frozenset[UUID]:
        """Return the keys of the runs that are live. The engine's index lags by seconds. At most 200 runs a call."""
        running = await self._calls.running(workflow_ids.values())
        return frozenset(key for key, workflow_id in workflow_ids.items() if workflow_id in running)


def of_organization(organization_id: object) -> TypedSearchAttributes:
    """Return the search attributes of a run that is known by its organization only."""
    return TypedSearchAttributes([SearchAttributePair(search_attributes.ORGANIZATION_ID, str(organization_id))])
