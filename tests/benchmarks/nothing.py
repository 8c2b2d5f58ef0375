"""The floor of the benchmark: a workflow of the assessment's shape whose activities do nothing.

It has the same signal, the same two queues and the same six activities, two of them in parallel. Start its worker with
`python -m tests.benchmarks.nothing`.
"""

import asyncio
import signal
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio import activity, workflow
from temporalio.worker import PollerBehaviorAutoscaling, Worker

with workflow.unsafe.imports_passed_through():
    import structlog

    from workflows.engine.client import connect
    from workflows.engine.process_exit import leave

QUEUE = "nothing"
MODEL_QUEUE = "nothing-model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    id: UUID


@activity.defn
async def do_nothing(nothing: Nothing) -> Nothing:
    return nothing


@workflow.defn
class NothingWorkflow:
    def __init__(self) -> None:
        self._submitted = False

    @workflow.run
    async def run(self, nothing: Nothing) -> Nothing:
        await workflow.wait_condition(lambda: self._submitted, timeout=timedelta(hours=72))
        await self._step(nothing, QUEUE)
        await asyncio.gather(self._step(nothing, QUEUE), self._step(nothing, MODEL_QUEUE))
        await self._step(nothing, MODEL_QUEUE)
        await self._step(nothing, MODEL_QUEUE)
        return await self._step(nothing, QUEUE)

    @workflow.signal
    def submit(self) -> None:
        self._submitted = True

    async def _step(self, nothing: Nothing, queue: str) -> Nothing:
        return await workflow.execute_activity(
            do_nothing, nothing, task_queue=queue, start_to_close_timeout=timedelta(seconds=10)
        )


async def main() -> None:
    client = await connect()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pollers = PollerBehaviorAutoscaling()
    async with (
        Worker(
            client,
            task_queue=QUEUE,
            workflows=[NothingWorkflow],
            activities=[do_nothing],
            workflow_task_poller_behavior=pollers,
            activity_task_poller_behavior=pollers,
        ),
        Worker(
            client,
            task_queue=MODEL_QUEUE,
            activities=[do_nothing],
            workflow_task_poller_behavior=pollers,
            activity_task_poller_behavior=pollers,
        ),
    ):
        structlog.get_logger().info("serving")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
