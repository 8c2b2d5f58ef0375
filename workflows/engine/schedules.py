"""Create or update the Schedules at each start of a worker."""

from datetime import timedelta
from typing import Final

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
from temporalio.service import RPCError, RPCStatusCode

from workflows.catalog_embedding import CatalogEmbeddingInput, CatalogEmbeddingWorkflow
from workflows.engine import static_details
from workflows.policies import Queue
from workflows.reconciliation import ReconciliationWorkflow
from workflows.retention import RetentionWorkflow

RECONCILIATION: Final = "reconciliation"


async def ensure_reconciliation(client: Client, every: timedelta, queue: str = Queue.ASSESSMENTS) -> None:
    """One sweep at a time: a tick is skipped while the previous sweep runs."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconciliationWorkflow.run,
            id=RECONCILIATION,
            task_queue=queue,
            static_summary="Start missing runs",
            static_details=static_details.RECONCILIATION,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    await _ensure(client, RECONCILIATION, schedule)


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
            id="catalog-embedding-weekly",
            task_queue=queue,
            static_summary="Embed the catalogue and rebuild its index",
            static_details=static_details.CATALOG_EMBEDDING,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    await _ensure(client, "catalog-embedding-weekly", schedule)


async def ensure_retention(client: Client, every: timedelta, queue: str = Queue.ASSESSMENTS) -> None:
    """Delete old data daily. The next run deletes what a missed run would have deleted."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            RetentionWorkflow.run,
            id="retention",
            task_queue=queue,
            static_summary="Delete data past its retention time",
            static_details=static_details.RETENTION,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    await _ensure(client, "retention", schedule)


async def _ensure(client: Client, id_: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(id_, schedule)
    except ScheduleAlreadyRunningError:
        # Preserve an operator's pause and note.
        def update(current: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = current.description.schedule.state
            return ScheduleUpdate(schedule=schedule)

        await client.get_schedule_handle(id_).update(update)
