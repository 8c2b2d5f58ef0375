"""The server enforces the rate limit of the queue `llm`, also if the workers have free slots."""

import asyncio
from datetime import timedelta
from typing import cast
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListTaskQueuePartitionsRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.score_essay import GradingOptions, ScoreEssay
from domain.database import Database
from domain.grading.ledger import SpendingLimits
from tests.workflows.waiting import eventually
from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import llm_worker

CALLS = 20
A_CALL_IN_MINUTES = 0.01


@workflow.defn
class ManyCalls:
    @workflow.run
    async def run(self, queue: str) -> None:
        once = RetryPolicy(maximum_attempts=1)
        calls = (
            workflow.execute_activity(
                "score_essay", task_queue=queue, start_to_close_timeout=timedelta(minutes=1), retry_policy=once
            )
            for _ in range(CALLS)
        )
        await asyncio.gather(*calls, return_exceptions=True)


async def test_the_server_limits_the_rate_although_slots_are_free(temporal_client: Client) -> None:
    queue = f"llm-{uuid4()}"
    request = DescribeTaskQueueRequest(
        namespace=temporal_client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )

    async def limited() -> tuple[float, int, bool]:
        told = await temporal_client.workflow_service.describe_task_queue(request)
        limit = told.effective_rate_limit
        # the server dispatches the first few at once; 40 slots would have taken all of them
        held_back = told.stats.rate_limiting_active and told.stats.approximate_backlog_count > CALLS // 2
        return round(limit.requests_per_second, 3), limit.rate_limit_source, held_back

    nothing_to_read = cast(Database, None)  # what is let through may fail
    essays = ScoreEssay(nothing_to_read, None, GradingOptions(samples=1, limits=SpendingLimits()))
    caller = Worker(
        temporal_client, task_queue=f"{queue}-c", workflows=[ManyCalls], workflow_runner=UnsandboxedWorkflowRunner()
    )
    async with caller, llm_worker(temporal_client, essays, WorkerSettings(llm_rps=A_CALL_IN_MINUTES), queue):
        run = await temporal_client.start_workflow(ManyCalls.run, queue, id=queue, task_queue=f"{queue}-c")
        await eventually(limited, (A_CALL_IN_MINUTES, RateLimitSource.RATE_LIMIT_SOURCE_WORKER, True))
        await run.cancel()
        with pytest.raises(WorkflowFailureError):  # close the run before the worker stops, or the worker would evict it
            await run.result()


async def test_a_queue_has_one_partition_because_each_gets_an_equal_part_of_the_rate(temporal_client: Client) -> None:
    request = ListTaskQueuePartitionsRequest(
        namespace=temporal_client.namespace, task_queue=TaskQueue(name=f"llm-{uuid4()}")
    )

    found = await temporal_client.workflow_service.list_task_queue_partitions(request)

    assert len(found.activity_task_queue_partitions) == 1
