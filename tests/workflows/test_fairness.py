"""Every queue serves organizations in turn: many runs of one do not delay a single run of another.

The same load on a server without the fairness flags shows that the flags cause it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from deploy.local.ports import free_port
from deploy.local.temporal import DYNAMIC_CONFIG, TemporalDevServer
from domain.ids import derived_id
from tests.workflows.waiting import eventually
from workflows.policies import organization_priority

FLAGS = ("matching.useNewMatcher", "matching.enableFairness")
CROWD = 20
MANY, SINGLE = derived_id("organization", "many"), derived_id("organization", "single")


@dataclass
class Served:
    """The tasks that the workers served, in order; `True` is the task of the single run."""

    workflows: list[bool] = field(default_factory=list)
    activities: list[bool] = field(default_factory=list)


served: dict[str, Served] = {}
"""The served tasks by queue. A module variable, because a test cannot pass arguments to workflow classes."""


@activity.defn
async def serve_activity(queue: str, single: bool) -> None:  # noqa: FBT001  # positional, as the SDK passes it
    served[queue].activities.append(single)


@workflow.defn
class Visitor:
    @workflow.run
    async def run(self, queue: str, single: bool) -> None:  # noqa: FBT001  # positional, as the SDK passes it
        served[queue].workflows.append(single)
        await workflow.execute_activity(
            serve_activity,
            args=[queue, single],
            task_queue=f"{queue}-activities",
            start_to_close_timeout=timedelta(minutes=1),
        )


async def serve_a_crowd_and_one(client: Client) -> Served:
    """Queue all tasks before a worker starts: first the workflow tasks, then the activity tasks."""
    queue = f"fairness-{uuid4()}"
    found = served[queue] = Served()
    runs = [
        await client.start_workflow(
            Visitor.run,
            args=[queue, single],
            id=f"{queue}-{place}",
            task_queue=queue,
            priority=organization_priority(SINGLE if single else MANY),
        )
        for place, single in enumerate([False] * CROWD + [True])
    ]

    async def begun() -> int:
        return len(found.workflows)

    async with Worker(
        client,
        task_queue=queue,
        workflows=[Visitor],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=2,
    ):
        await eventually(begun, CROWD + 1)
        async with Worker(
            client, task_queue=f"{queue}-activities", activities=[serve_activity], max_concurrent_activities=1
        ):
            await asyncio.gather(*(run.result() for run in runs))
    return found


@pytest.fixture
async def unfair_client(tmp_path: Path) -> AsyncIterator[Client]:
    flags = {name: value for name, value in DYNAMIC_CONFIG.items() if name not in FLAGS}
    with TemporalDevServer(None, free_port(), None, log=tmp_path / "log", dynamic_config=flags) as server:
        yield await Client.connect(server.address)


async def test_a_single_run_is_served_before_most_of_a_crowd(temporal_client: Client) -> None:
    found = await serve_a_crowd_and_one(temporal_client)

    assert found.workflows.index(True) < CROWD / 2
    assert found.activities.index(True) < CROWD / 2


async def test_without_the_flags_it_waits_for_most_of_them(unfair_client: Client) -> None:
    found = await serve_a_crowd_and_one(unfair_client)

    assert found.workflows.index(True) > CROWD / 2
    assert found.activities.index(True) > CROWD / 2
