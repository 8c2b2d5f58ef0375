"""The Schedules, created or brought up to date at every worker's start."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from workflows.policies import Queue
from workflows.reconciliation import ReconciliationWorkflow


async def ensure_reconciliation(client: Client, every: timedelta, queue: str = Queue.ASSESSMENTS) -> None:
    """One sweep at a time: a tick that finds the last one running is skipped."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconciliationWorkflow.run,
            id="reconciliation",
            task_queue=queue,
            static_summary="Starts assessments that should be running",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    try:
        await client.create_schedule("reconciliation", schedule)
    except ScheduleAlreadyRunningError:
        # A pause or a note that an operator set stays.
        def update(current: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = current.description.schedule.state
            return ScheduleUpdate(schedule=schedule)

        await client.get_schedule_handle("reconciliation").update(update)
