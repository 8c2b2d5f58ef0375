"""Backlogs and pollers as the real server reports them."""

from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from domain.errors import ExternalServiceError
from tests.workflows.waiting import eventually
from workflows.engine.backlogs import TaskQueues, announced_models, worker_identity


@activity.defn
async def idle() -> None: ...


async def test_the_backlog_of_a_queue_without_workers_grows(temporal_client: Client) -> None:
    queue = f"unserved-{uuid4()}"
    for number in range(2):
        await temporal_client.start_workflow("Nobody", id=f"{queue}-{number}", task_queue=queue)

    async def counted() -> list[tuple[str, str, int, frozenset[str]]]:
        found = await TaskQueues(temporal_client, [queue]).backlogs()
        return [(each.queue, each.kind, each.tasks, each.pollers) for each in found]

    await eventually(counted, [(queue, "workflow", 2, frozenset()), (queue, "activity", 0, frozenset())])


async def test_a_worker_is_listed_with_its_model(temporal_client: Client) -> None:
    queue = f"served-{uuid4()}"

    async def seen() -> list[str]:
        found = await TaskQueues(temporal_client, [queue]).backlogs()
        return announced_models(poller for each in found if each.kind == "activity" for poller in each.pollers)

    async with Worker(temporal_client, task_queue=queue, activities=[idle], identity=worker_identity("gpt-5")):
        await eventually(seen, ["gpt-5"])


async def test_a_server_that_does_not_answer_in_time_is_an_error(temporal_client: Client) -> None:
    with pytest.raises(ExternalServiceError):
        await TaskQueues(temporal_client, deadline_s=0.0).backlogs()
