"""The id of the request that set work going reaches the log lines of the work."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from tests.workflows.correlated import Child, Waiting
from tests.workflows.sandbox import STRICT
from workflows.telemetry.correlation import FIELD, CorrelationInterceptor


@activity.defn
async def bound() -> str:
    """What the activity's log lines would carry."""
    return str(structlog.contextvars.get_contextvars().get(FIELD, ""))


@pytest.fixture
def client(temporal_client: Client) -> Client:
    config = temporal_client.config()
    config["interceptors"] = [CorrelationInterceptor()]
    return Client(**config)


@pytest.fixture
async def queue(client: Client) -> AsyncIterator[str]:
    queue = f"correlation-{uuid4()}"
    # No cache: each task is replayed from the start, as after a worker's death.
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Waiting, Child],
        activities=[bound],
        workflow_runner=STRICT,
        max_cached_workflows=0,
    ):
        yield queue


async def test_what_follows_a_message_carries_the_id_of_its_request(client: Client, queue: str) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="of-the-start"):
        handle = await client.start_workflow(Waiting.run, id=f"waiting-{uuid4()}", task_queue=queue)
    with structlog.contextvars.bound_contextvars(correlation_id="of-the-hand-in"):
        await handle.signal(Waiting.submit)

    # The signal may be there before the first activity is asked for.
    before, after, child = await handle.result()
    assert before in {"of-the-start", "of-the-hand-in"}
    assert (after, child) == ("of-the-hand-in", "of-the-hand-in")


async def test_a_signal_that_starts_the_run_names_it(client: Client, queue: str) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="of-the-hand-in"):
        handle = await client.start_workflow(
            Waiting.run,
            id=f"waiting-{uuid4()}",
            task_queue=queue,
            start_signal="submit",
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    assert await handle.result() == ["of-the-hand-in"] * 3


async def test_a_run_that_no_request_started_has_none(client: Client, queue: str) -> None:
    handle = await client.start_workflow(Child.run, id=f"child-{uuid4()}", task_queue=queue)

    assert await handle.result() == ""
