"""Backlogs and pollers of the task queues, as the Temporal server reports them."""

import asyncio
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from workflows.engine.calls import EngineCalls
from workflows.policies import Queue

DEADLINE_S: Final = 2.0
GONE_AFTER: Final = timedelta(seconds=70)
"""Age at which a poller counts as gone. A poll lasts at most 60 s, but the server lists its poller for minutes."""
LOCAL_GRADER: Final = "local"

_KINDS: Final = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The approximate number of queued tasks, and the age of the oldest in seconds.

    `pollers` are the identities of the workers that polled the queue within `GONE_AFTER`.
    """

    queue: str
    kind: str
    tasks: int
    oldest_s: float
    pollers: frozenset[str]


class TaskQueues:
    def __init__(self, client: Client, queues: Iterable[str] = tuple(Queue), deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._asked = [(queue, kind) for queue in queues for kind in _KINDS]
        self._calls = EngineCalls(client, deadline_s)

    async def backlogs(self) -> list[Backlog]:
        """Describe every queue.

        Raises:
            ExternalServiceError: the server does not answer in time.
        """
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
        described = await self._client.workflow_service.describe_task_queue(request, retry=True)
        since = datetime.now(UTC) - GONE_AFTER
        return Backlog(
            queue=queue,
            kind=kind,
            tasks=described.stats.approximate_backlog_count,
            oldest_s=described.stats.approximate_backlog_age.ToTimedelta().total_seconds(),
            pollers=frozenset(
                each.identity for each in described.pollers if each.last_access_time.ToDatetime(UTC) > since
            ),
        )


def worker_identity(model: str) -> str:
    """The default identity of a worker, followed by the name of its model. The Web UI and `/readyz` show the name."""
    return f"{os.getpid()}@{socket.gethostname()} {model}"


def announced_models(identities: Iterable[str]) -> list[str]:
    """The model names in worker identities, sorted. Identities without a name are skipped."""
    return sorted({model for identity in identities if (model := identity.partition(" ")[2])})
