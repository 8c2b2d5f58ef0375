"""The Schedule of reconciliation, which workers create or update at every start."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleOverlapPolicy,
)

from tests.workflows.waiting import eventually
from workflows.engine.schedules import ensure_reconciliation, has_reconciliation

# Long enough that it does not fire during a test.
DAY = timedelta(days=1)
QUEUE = "assessments-nobody"


@pytest.fixture
async def schedule(temporal_client: Client) -> AsyncIterator[ScheduleHandle]:
    """The Schedule after the first start of a worker."""
    await ensure_reconciliation(temporal_client, DAY, QUEUE)
    handle = temporal_client.get_schedule_handle("reconciliation")
    yield handle
    await handle.delete()


async def made(handle: ScheduleHandle) -> Schedule:
    return (await handle.describe()).schedule


async def test_it_sweeps_at_the_interval_one_at_a_time(schedule: ScheduleHandle) -> None:
    found = await made(schedule)

    assert [interval.every for interval in found.spec.intervals] == [DAY]
    assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert isinstance(found.action, ScheduleActionStartWorkflow)
    assert (found.action.workflow, found.action.task_queue) == ("ReconciliationWorkflow", QUEUE)


async def test_a_later_worker_updates_it(temporal_client: Client, schedule: ScheduleHandle) -> None:
    await ensure_reconciliation(temporal_client, 2 * DAY, QUEUE)

    async def intervals() -> list[timedelta]:
        return [interval.every for interval in (await made(schedule)).spec.intervals]

    await eventually(intervals, [2 * DAY])


async def test_its_absence_is_detected(temporal_client: Client) -> None:
    assert not await has_reconciliation(temporal_client)

    await ensure_reconciliation(temporal_client, DAY, QUEUE)

    assert await has_reconciliation(temporal_client)
    await temporal_client.get_schedule_handle("reconciliation").delete()


async def test_an_update_preserves_an_operators_pause(temporal_client: Client, schedule: ScheduleHandle) -> None:
    await schedule.pause(note="During the move")
    await ensure_reconciliation(temporal_client, 2 * DAY, QUEUE)

    async def state() -> tuple[list[timedelta], bool, str | None]:
        found = await made(schedule)
        return [interval.every for interval in found.spec.intervals], found.state.paused, found.state.note

    await eventually(state, ([2 * DAY], True, "During the move"))
