"""The floor of the webhooks' benchmark: a workflow whose one activity makes one plain `httpx` request.

Start its worker with `python -m tests.benchmarks.plain_httpx`.
"""

import asyncio
import signal
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.worker import PollerBehaviorAutoscaling, Worker

with workflow.unsafe.imports_passed_through():
    import httpx
    import structlog

    from workflows.engine.client import connect
    from workflows.engine.process_exit import leave

QUEUE = "plain-httpx"
SLOTS = 100
"""The same number of slots as the product's worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    url: str
    body: str


class Plain:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @activity.defn
    async def post(self, post: Post) -> int:
        answer = await self._http.post(post.url, content=post.body, headers={"content-type": "application/json"})
        return answer.status_code


@workflow.defn
class PlainWorkflow:
    @workflow.run
    async def run(self, post: Post) -> int:
        return await workflow.execute_activity_method(Plain.post, post, start_to_close_timeout=timedelta(seconds=30))


async def main() -> None:
    client = await connect()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        httpx.AsyncClient(timeout=15, trust_env=False, limits=httpx.Limits(max_connections=None)) as http,
        Worker(
            client,
            task_queue=QUEUE,
            workflows=[PlainWorkflow],
            activities=[Plain(http).post],
            max_concurrent_activities=SLOTS,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        ),
    ):
        structlog.get_logger().info("serving")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
