"""The correlation id of a request reaches the log lines of the activities that it causes."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.workflows.correlated import Child, Waiting
from workflows.telemetry.correlation import FIELD, CorrelationInterceptor


@activity.defn
async def bound() -> str:
    """The correlation id of the activity's log lines."""
    return str(structlog.contextvars.get_contextvars().get(FIELD, ""))


@pytest.fixture
def client(temporal_client: Client) -> Client:
    config = temporal_client.config()
    config["interceptors"] = [CorrelationInterceptor()]
    return Client(**config)


@pytest.fixture
async def queue(client: Client) -> AsyncIterator[str]:
    queue = f"correlation-{uuid4()}"
    # No cache: each task replays from the start, as after a crash. A sandbox would import all modules each time.
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Waiting, Child],
        activities=[bound],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,
    ):
        yield queue


async def test_activities_carry_the_id_of_the_latest_request(client: Client, queue: str) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="of-the-start"):
        handle = await client.start_workflow(Waiting.run, id=f"waiting-{uuid4()}", task_queue=queue)
    with structlog.contextvars.bound_contextvars(correlation_id="of-the-hand-in"):
        await handle.signal(Waiting.submit)

    # The signal may arrive before the first activity is scheduled.
    before, after, child = await handle.result()
    assert before in {"of-the-start", "of-the-hand-in"}
    assert (after, child) == ("of-the-hand-in", "of-the-hand-in")


async def test_a_signal_with_start_sets_the_id(client: Client, queue: str) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="of-the-hand-in"):
        handle = await client.start_workflow(
            Waiting.run,
            id=f"waiting-{uuid4()}",
            task_queue=queue,
            start_signal="submit",
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    assert await handle.result() == ["of-the-hand-in"] * 3


async def test_a_run_without_a_request_has_no_id(client: Client, queue: str) -> None:
    handle = await client.start_workflow(Child.run, id=f"child-{uuid4()}", task_queue=queue)

    assert await handle.result() == ""
