"""How many tasks wait in Temporal's queues, as the server counts them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from workflows.engine_calls import EngineCalls
from workflows.policies import Queue

DEADLINE_S: Final = 2.0
_KINDS: Final = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Tasks that no worker has taken yet (about, says the server), and the age of the oldest in seconds."""

    queue: str
    kind: str
    tasks: int
    oldest_s: float


class TaskQueues:
    def __init__(self, client: Client, queues: Iterable[str] = tuple(Queue)) -> None:
        self._client = client
        self._asked = [(queue, kind) for queue in queues for kind in _KINDS]
        self._calls = EngineCalls(client, DEADLINE_S)

    async def backlogs(self) -> list[Backlog]:
        """Raises ExternalServiceError where the server does not tell in time."""
        found: list[Backlog] = []

        async def ask() -> None:
            found.extend(await asyncio.gather(*(self._backlog(queue, kind) for queue, kind in self._asked)))

        await self._calls.make(ask)
        return found

    async def _backlog(self, queue: str, kind: str) -> Backlog:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=_KINDS[kind],
            report_stats=True,
        )
        stats = (await self._client.workflow_service.describe_task_queue(request)).stats
        return Backlog(
            queue=queue,
            kind=kind,
            tasks=stats.approximate_backlog_count,
            oldest_s=stats.approximate_backlog_age.ToTimedelta().total_seconds(),
        )
