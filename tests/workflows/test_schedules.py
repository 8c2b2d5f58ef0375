"""The Schedules of reconciliation, which workers create or update at every start."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from domain.sweeps import RARE_FACTOR, Concern
from tests.workflows.waiting import eventually
from workflows.engine.schedules import (
    RECONCILIATION,
    end_stuck_runs,
    ensure_reconciliation,
    has_reconciliation,
    schedule_id,
)
from workflows.policies import SWEEP_TIMEOUT
from workflows.reconciliation import CONCERN, ReconciliationWorkflow

# Long enough that it does not fire during a test.
DAY = timedelta(days=1)
QUEUE = "assessments-nobody"


@pytest.fixture
async def schedule(temporal_client: Client) -> AsyncIterator[ScheduleHandle]:
    """The Schedule after the first start of a worker."""
    await ensure_reconciliation(temporal_client, DAY, QUEUE)
    handle = temporal_client.get_schedule_handle("reconciliation")
    yield handle
    for concern in Concern:
        await temporal_client.get_schedule_handle(schedule_id(concern)).delete()


async def made(handle: ScheduleHandle) -> Schedule:
    return (await handle.describe()).schedule


async def test_it_sweeps_at_the_interval_one_at_a_time(schedule: ScheduleHandle) -> None:
    found = await made(schedule)

    assert [interval.every for interval in found.spec.intervals] == [DAY]
    assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert isinstance(found.action, ScheduleActionStartWorkflow)
    assert (found.action.workflow, found.action.task_queue) == ("ReconciliationWorkflow", QUEUE)
    assert found.action.execution_timeout == SWEEP_TIMEOUT


@pytest.mark.usefixtures("schedule")
async def test_each_concern_has_its_own_schedule_at_its_own_time(temporal_client: Client) -> None:
    found = {concern: await made(temporal_client.get_schedule_handle(schedule_id(concern))) for concern in Concern}

    actions = {concern: each.action for concern, each in found.items()}
    concerns = {
        concern: (await pydantic_data_converter.decode([action.memo[CONCERN]]))[0]
        for concern, action in actions.items()
        if isinstance(action, ScheduleActionStartWorkflow) and action.memo
    }
    assert concerns == {concern: concern.value for concern in Concern}
    assert len({each.spec.intervals[0].offset for each in found.values()}) == len(Concern)


@pytest.mark.usefixtures("schedule")
async def test_concerns_that_nobody_waits_for_are_swept_less_often(temporal_client: Client) -> None:
    found = {concern: await made(temporal_client.get_schedule_handle(schedule_id(concern))) for concern in Concern}

    intervals = {concern: each.spec.intervals[0].every for concern, each in found.items()}
    urgent = {concern for concern, every in intervals.items() if every == DAY}
    assert urgent == {Concern.UNCLAIMED, Concern.CLAIMED, Concern.EXPIRY, Concern.REVIEWS, Concern.DELIVERIES}
    assert {intervals[concern] for concern in Concern if concern not in urgent} == {RARE_FACTOR * DAY}
    assert all(each.policy.overlap is ScheduleOverlapPolicy.SKIP for each in found.values())


async def test_a_later_worker_updates_it(temporal_client: Client, schedule: ScheduleHandle) -> None:
    await ensure_reconciliation(temporal_client, 2 * DAY, QUEUE)

    async def intervals() -> list[timedelta]:
        return [interval.every for interval in (await made(schedule)).spec.intervals]

    await eventually(intervals, [2 * DAY])


async def test_its_absence_is_detected(temporal_client: Client) -> None:
    assert not await has_reconciliation(temporal_client)

    await ensure_reconciliation(temporal_client, DAY, QUEUE)

    assert await has_reconciliation(temporal_client)
    for concern in Concern:
        await temporal_client.get_schedule_handle(schedule_id(concern)).delete()


@pytest.fixture
async def blocked(temporal_client: Client) -> AsyncIterator[tuple[ScheduleHandle, WorkflowHandle[Any, Any]]]:
    """The Schedule of an earlier release, and its run that never ends, because its build is gone."""
    action = ScheduleActionStartWorkflow(ReconciliationWorkflow.run, id=RECONCILIATION, task_queue=QUEUE)
    handle = await temporal_client.create_schedule(
        RECONCILIATION,
        Schedule(
            action=action,
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=DAY)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
        ),
        trigger_immediately=True,
    )

    async def running() -> int:
        return len((await handle.describe()).info.running_actions)

    await eventually(running, 1)
    (run,) = (await handle.describe()).info.running_actions
    assert isinstance(run, ScheduleActionExecutionStartWorkflow)
    yield handle, temporal_client.get_workflow_handle(run.workflow_id)
    for concern in Concern:
        with suppress(RPCError):
            await temporal_client.get_schedule_handle(schedule_id(concern)).delete()


async def test_a_stuck_run_of_an_earlier_release_is_ended_and_the_next_sweep_comes(
    temporal_client: Client, blocked: tuple[ScheduleHandle, WorkflowHandle[Any, Any]]
) -> None:
    handle, stuck = blocked
    await ensure_reconciliation(temporal_client, DAY, QUEUE)

    await end_stuck_runs(temporal_client, {RECONCILIATION: timedelta()})

    assert (await stuck.describe()).status is WorkflowExecutionStatus.TERMINATED
    await handle.trigger()

    async def actions() -> int:
        return len((await handle.describe()).info.recent_actions)

    await eventually(actions, 2)
    (new,) = (await handle.describe()).info.running_actions
    assert isinstance(new, ScheduleActionExecutionStartWorkflow)
    started = await temporal_client.get_workflow_handle(new.workflow_id).describe()
    assert started.raw_description.execution_config.workflow_execution_timeout.ToTimedelta() == SWEEP_TIMEOUT
    await temporal_client.get_workflow_handle(new.workflow_id).terminate()


async def test_a_run_that_may_still_end_is_not_ended(
    temporal_client: Client, blocked: tuple[ScheduleHandle, WorkflowHandle[Any, Any]]
) -> None:
    _, young = blocked

    await end_stuck_runs(temporal_client)

    assert (await young.describe()).status is WorkflowExecutionStatus.RUNNING
    await young.terminate()


async def test_an_update_preserves_an_operators_pause(temporal_client: Client, schedule: ScheduleHandle) -> None:
    await schedule.pause(note="During the move")
    await ensure_reconciliation(temporal_client, 2 * DAY, QUEUE)

    async def state() -> tuple[list[timedelta], bool, str | None]:
        found = await made(schedule)
        return [interval.every for interval in found.spec.intervals], found.state.paused, found.state.note

    await eventually(state, ([2 * DAY], True, "During the move"))
