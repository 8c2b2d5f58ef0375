"""`RetentionWorkflow` applies every rule and shows its progress."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from activities.retain import RetainInput
from domain.errors import CorruptData, StorageUnavailable
from domain.privacy import RetentionRule
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S, eventually
from workflows.engine.schedules import ensure_retention
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.policies import RETENTION_RULE_TIMEOUT, RETENTION_TIMEOUT, Queue
from workflows.retention import RetentionWorkflow

DAY = timedelta(days=1)


class Scripted:
    """Each rule finds as many rows as its name has letters. The first attempts of a rule may fail, or every one."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or StorageUnavailable("Away")
        self.applied: list[RetentionRule] = []
        self.held, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()

    @activity.defn
    async def retain(self, wanted: RetainInput) -> int:
        if wanted.rule is RetentionRule.JOBS:
            self.held.set()
            await self.free.wait()
            self.failures -= 1
            if self.failures >= 0:
                raise self.error
        self.applied.append(wanted.rule)
        return len(wanted.rule)


def worker(environment: WorkflowEnvironment, script: Scripted, queue: str) -> Worker:
    return Worker(
        environment.client,
        task_queue=queue,
        workflows=[RetentionWorkflow],
        workflow_runner=STRICT,
        activities=[script.retain],
        interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
    )


async def run(environment: WorkflowEnvironment, script: Scripted) -> dict[str, int]:
    queue = f"{Queue.ASSESSMENTS}-{uuid4()}"
    async with worker(environment, script, queue), asyncio.timeout(PATIENCE_S):
        return await environment.client.execute_workflow(RetentionWorkflow.run, id=queue, task_queue=queue)


@pytest.mark.parametrize("failures", [0, 3])
async def test_every_rule_runs_despite_failures_of_the_database(
    environment: WorkflowEnvironment, failures: int
) -> None:
    assert await run(environment, Scripted(failures)) == {rule: len(rule) for rule in RetentionRule}


@pytest.mark.parametrize(
    ("failures", "error"), [(1, CorruptData("Not a number")), (10_000, StorageUnavailable("Timeout"))]
)
async def test_a_rule_that_fails_lets_the_other_rules_run(
    environment: WorkflowEnvironment, failures: int, error: Exception
) -> None:
    script = Scripted(failures, error)

    with pytest.raises(WorkflowFailureError) as failed:
        await run(environment, script)

    assert script.applied == [rule for rule in RetentionRule if rule is not RetentionRule.JOBS]
    assert isinstance(failed.value.cause, ApplicationError)
    assert "jobs" in failed.value.cause.message


def test_all_rules_fit_into_one_run() -> None:
    assert len(RetentionRule) * RETENTION_RULE_TIMEOUT < RETENTION_TIMEOUT


async def test_the_details_show_the_progress(environment: WorkflowEnvironment) -> None:
    script, queue = Scripted(), f"{Queue.ASSESSMENTS}-{uuid4()}"
    script.free.clear()
    async with worker(environment, script, queue), asyncio.timeout(PATIENCE_S):
        handle = await environment.client.start_workflow(RetentionWorkflow.run, id=queue, task_queue=queue)
        await script.held.wait()
        metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        script.free.set()
        await handle.result()

    assert "idempotency_keys: 16" in metadata.current_details
    assert "jobs: under way" in metadata.current_details


async def test_it_runs_daily_one_at_a_time(temporal_client: Client) -> None:
    queue = "assessments-nobody"
    await ensure_retention(temporal_client, DAY, queue)
    await ensure_retention(temporal_client, 2 * DAY, queue)
    handle = temporal_client.get_schedule_handle("retention")

    async def intervals() -> list[timedelta]:
        return [interval.every for interval in (await handle.describe()).schedule.spec.intervals]

    await eventually(intervals, [2 * DAY])
    found = (await handle.describe()).schedule
    await handle.delete()

    assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert isinstance(found.action, ScheduleActionStartWorkflow)
    assert (found.action.workflow, found.action.task_queue) == ("RetentionWorkflow", queue)
