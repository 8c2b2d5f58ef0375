"""Create or update the Schedules at each start of a worker, and end the runs that would block them.

A Schedule starts one run at a time: it skips a tick while the last run is open. So that a run that cannot end does not
stop all later ones, every run that a Schedule starts has an execution timeout.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.sweeps import Concern
from workflows.catalog_embedding import CatalogEmbeddingInput, CatalogEmbeddingWorkflow
from workflows.engine import static_details
from workflows.policies import CATALOGUE_TIMEOUT, RETENTION_TIMEOUT, SWEEP_TIMEOUT, Queue
from workflows.reconciliation import CONCERN, ReconciliationWorkflow
from workflows.retention import RetentionWorkflow

RECONCILIATION: Final = "reconciliation"
RETENTION: Final = "retention"
CATALOG_EMBEDDING: Final = "catalog-embedding-weekly"

TIMEOUTS: Final[Mapping[str, timedelta]] = {
    RECONCILIATION: timedelta(minutes=10),
    RETENTION: RETENTION_TIMEOUT,
    CATALOG_EMBEDDING: CATALOGUE_TIMEOUT,
}
"""The age at which a run without an execution timeout counts as stuck. Earlier releases started such runs."""

log = structlog.get_logger(__name__)


async def ensure_reconciliation(client: Client, every: timedelta, queue: str = Queue.ASSESSMENTS) -> None:
    """Ensure one Schedule per concern, each with its interval. Their ticks are spread over the interval.

    The Schedule of unclaimed submissions comes last: if it exists, the others do too. It has the id that earlier
    releases know and update.
    """
    others = [concern for concern in Concern if concern is not Concern.UNCLAIMED]
    for place, concern in enumerate([*others, Concern.UNCLAIMED]):
        interval = every * concern.interval_factor
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                ReconciliationWorkflow.run,
                id=schedule_id(concern),
                task_queue=queue,
                execution_timeout=SWEEP_TIMEOUT,
                memo={CONCERN: concern.value},
                static_summary=f"Start missing runs: {concern}",
                static_details=static_details.RECONCILIATION,
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval, offset=interval * place / len(Concern))]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=interval),
        )
        await _ensure(client, schedule_id(concern), schedule)


def schedule_id(concern: Concern) -> str:
    return RECONCILIATION if concern is Concern.UNCLAIMED else f"{RECONCILIATION}-{concern}"


async def has_reconciliation(client: Client) -> bool:
    """Whether the Schedule of reconciliation exists, paused or not."""
    try:
        await client.get_schedule_handle(RECONCILIATION).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def ensure_catalog_embedding(client: Client, every: timedelta, queue: str = Queue.ASSESSMENTS) -> None:
    """Rebuild the index regularly, also if it shows no difference from Postgres."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            CatalogEmbeddingWorkflow.run,
            CatalogEmbeddingInput(rebuild=True),
            id=CATALOG_EMBEDDING,
            task_queue=queue,
            execution_timeout=CATALOGUE_TIMEOUT,
            static_summary="Embed the catalogue and rebuild its index",
            static_details=static_details.CATALOG_EMBEDDING,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    await _ensure(client, CATALOG_EMBEDDING, schedule)


async def ensure_retention(client: Client, every: timedelta, queue: str = Queue.ASSESSMENTS) -> None:
    """Delete old data daily. The next run deletes what a missed run would have deleted."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            RetentionWorkflow.run,
            id=RETENTION,
            task_queue=queue,
            execution_timeout=RETENTION_TIMEOUT,
            static_summary="Delete data past its retention time",
            static_details=static_details.RETENTION,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    await _ensure(client, RETENTION, schedule)


async def end_stuck_runs(client: Client, timeouts: Mapping[str, timedelta] = TIMEOUTS) -> None:
    """Terminate the runs that block a Schedule: those without an execution timeout that are older than `timeouts`.

    An earlier release started its scheduled runs without a timeout and bound each to its build. If that build is gone,
    such a run never ends, and an update of the Schedule does not change it.
    """
    for id_, timeout in timeouts.items():
        try:
            running = (await client.get_schedule_handle(id_).describe()).info.running_actions
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        for run in running:
            if isinstance(run, ScheduleActionExecutionStartWorkflow):
                await _end_if_stuck(client, run, timeout)


async def _end_if_stuck(client: Client, run: ScheduleActionExecutionStartWorkflow, oldest: timedelta) -> None:
    handle = client.get_workflow_handle(run.workflow_id, first_execution_run_id=run.first_execution_run_id)
    try:
        described = await handle.describe()
        own = described.raw_description.execution_config.workflow_execution_timeout.ToTimedelta()
        if not own and datetime.now(UTC) - described.start_time >= oldest:
            log.warning("stuck_run_terminated", workflow_id=run.workflow_id)
            await handle.terminate(reason="Stuck: its Schedule could start no further run")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended
            raise


async def _ensure(client: Client, id_: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(id_, schedule)
    except ScheduleAlreadyRunningError:
        # Preserve an operator's pause and note.
        def update(current: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = current.description.schedule.state
            return ScheduleUpdate(schedule=schedule)

        await client.get_schedule_handle(id_).update(update)
