"""Runs that have begun continue before new runs begin, so that few tasks of cached runs wait outside of the turns."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

import pytest
from pydantic import ValidationError
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import CACHED_RUNS_FIRST

CROWD: Final = 60
STEPS: Final = 4


@dataclass
class Counts:
    """The number of runs that have begun, now and when the first run ended."""

    begun: int = 0
    begun_at_first_end: int | None = None


counts: dict[str, Counts] = {}
"""By queue. A module variable, because a test cannot pass arguments to workflow classes."""


@activity.defn
async def step() -> None: ...


@workflow.defn
class Steps:
    @workflow.run
    async def run(self) -> None:
        counted = counts[workflow.info().task_queue]
        if not workflow.unsafe.is_replaying():
            counted.begun += 1
        for _ in range(STEPS):
            await workflow.execute_activity(step, start_to_close_timeout=timedelta(minutes=1))
        if counted.begun_at_first_end is None:
            counted.begun_at_first_end = counted.begun


async def test_runs_end_before_most_others_begin(temporal_client: Client) -> None:
    queue = f"cached-{uuid4()}"
    counted = counts[queue] = Counts()
    runs = [await temporal_client.start_workflow(Steps.run, id=f"{queue}-{n}", task_queue=queue) for n in range(CROWD)]

    async with Worker(
        temporal_client,
        task_queue=queue,
        workflows=[Steps],
        activities=[step],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=WorkerSettings().workflow_slots,
        max_concurrent_activities=WorkerSettings().assessments_slots,
        workflow_task_poller_behavior=CACHED_RUNS_FIRST,
    ):
        await asyncio.gather(*(run.result() for run in runs))

    assert counted.begun_at_first_end is not None
    assert counted.begun_at_first_end < CROWD / 2


def test_the_pollers_of_cached_runs_leave_a_slot_for_new_runs() -> None:
    with pytest.raises(ValidationError, match="WORKER_WORKFLOW_SLOTS must be at least 6"):
        WorkerSettings(workflow_slots=5)

    assert WorkerSettings(workflow_slots=5, cached_workflows=0).workflow_slots == 5
