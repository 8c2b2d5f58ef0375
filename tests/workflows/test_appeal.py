"""`AppealWorkflow` over days of waiting, on a time-skipping server, with the real activity and its own database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from activities.follow_appeal import FollowAppeal
from domain.appeals import Appeal, AppealState
from domain.database import Database
from persistence.database import create_engine, in_autocommit
from persistence.tables import AppealRow, AuditLogRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.support.appeals import an_appeal
from tests.support.databases import settings_of
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S, eventually
from workflows.appeal import AppealInput, AppealResult, AppealWorkflow, attributes, workflow_id
from workflows.engine import search_attributes
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.policies import Queue

Handle: TypeAlias = WorkflowHandle[AppealWorkflow, AppealResult]
REMINDED, OVERDUE = ("appeal.reminded",), ("appeal.reminded", "appeal.overdue")


@dataclass
class Desk:
    """Opens and closes appeals in the database, and starts their runs."""

    environment: WorkflowEnvironment
    session: AsyncSession
    database: Database
    queue: str = field(default_factory=lambda: f"{Queue.ASSESSMENTS}-{uuid4()}")

    def worker(self) -> AbstractAsyncContextManager[Worker]:
        return Worker(
            self.environment.client,
            task_queue=self.queue,
            workflows=[AppealWorkflow],
            workflow_runner=STRICT,
            activities=[FollowAppeal(self.database).follow_appeal],
            interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
            max_cached_workflows=0,  # a task for the cache of a worker that has stopped would stop the skipping of time
        )

    async def appeal(self, *, days_ago: float = 0, **columns: Any) -> Appeal:
        created_at = await self.environment.get_current_time() - timedelta(days=days_ago)
        return await an_appeal(self.session, created_at=created_at, **columns)

    async def start(self, appeal: Appeal, **options: Any) -> Handle:
        # Only a handle of this environment's own client skips time during `result()`.
        return await self.environment.client.start_workflow(
            AppealWorkflow.run,
            AppealInput(
                appeal_id=appeal.id,
                assessment_id=appeal.assessment_id,
                reminder_due_at=appeal.reminder_due_at,
                answer_due_at=appeal.answer_due_at,
            ),
            id=workflow_id(appeal.id),
            task_queue=self.queue,
            search_attributes=attributes(appeal),
            **options,
        )

    async def close(self, appeal: Appeal, state: AppealState = AppealState.WITHDRAWN) -> None:
        """Close the appeal in the database only."""
        closed = {"state": state.value, "closed_at": appeal.answer_due_at}
        await self.session.execute(update(AppealRow).where(AppealRow.id == appeal.id).values(**closed))

    async def row(self, appeal: Appeal) -> AppealRow:
        found = select(AppealRow).where(AppealRow.id == appeal.id)
        return (await self.session.scalars(found, execution_options={"populate_existing": True})).one()

    async def audited(self, appeal: Appeal) -> tuple[str, ...]:
        found = select(AuditLogRow.action).where(AuditLogRow.resource_id == appeal.id).order_by(AuditLogRow.seq)
        return tuple(await self.session.scalars(found))

    async def wait_until(self, appeal: Appeal, handle: Handle, state: str, actions: tuple[str, ...]) -> None:
        async def seen() -> tuple[object, tuple[str, ...]]:
            return await attribute(handle), await self.audited(appeal)

        await eventually(seen, (state, actions))


async def attribute(handle: Handle) -> object:
    return (await handle.describe()).typed_search_attributes[search_attributes.APPEAL_STATE]


async def details(handle: Handle) -> str:
    """The run's current details in the Web UI."""
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)


async def result(handle: Handle) -> AppealResult:
    async with asyncio.timeout(PATIENCE_S):
        return await handle.result()


@pytest.fixture
async def desk(environment: WorkflowEnvironment, clean_database: str) -> AsyncIterator[Desk]:
    engine = create_engine(settings_of(clean_database))
    async with sessions(in_autocommit(engine))() as session:
        yield Desk(environment, session, SqlDatabase(engine))
    await engine.dispose()


def is_near(moment: datetime | None, expected: datetime) -> bool:
    return moment is not None and timedelta() <= moment - expected < timedelta(minutes=1)


async def test_an_open_appeal_is_reminded_of_and_then_overdue(desk: Desk) -> None:
    appeal = await desk.appeal()
    async with desk.worker():
        handle = await desk.start(appeal)
        await desk.environment.sleep(timedelta(days=3, minutes=1))
        await desk.wait_until(appeal, handle, "reminded", REMINDED)
        await desk.environment.sleep(timedelta(days=4))
        await desk.wait_until(appeal, handle, "overdue", OVERDUE)

        await desk.close(appeal)
        await handle.signal(AppealWorkflow.closed)

        assert await result(handle) == AppealResult(state=AppealState.WITHDRAWN, overdue=True)
    row = await desk.row(appeal)
    assert is_near(row.reminded_at, appeal.reminder_due_at)
    assert is_near(row.overdue_at, appeal.answer_due_at)
    assert row.run_ended_at is not None


async def test_an_answered_appeal_ends_without_a_reminder(desk: Desk) -> None:
    appeal = await desk.appeal()
    async with desk.worker():
        handle = await desk.start(appeal)
        await desk.close(appeal)

        await handle.signal(AppealWorkflow.closed)

        assert await result(handle) == AppealResult(state=AppealState.WITHDRAWN, overdue=False)
        assert await attribute(handle) == "withdrawn"
    assert (await desk.audited(appeal), (await desk.row(appeal)).reminded_at) == ((), None)


async def test_a_run_without_the_signal_ends_at_its_next_timer(desk: Desk) -> None:
    appeal = await desk.appeal()
    async with desk.worker():
        handle = await desk.start(appeal)
        await desk.close(appeal)

        assert (await result(handle)).state is AppealState.WITHDRAWN
    assert await desk.audited(appeal) == ()


async def test_a_signal_about_an_open_appeal_changes_nothing(desk: Desk) -> None:
    appeal = await desk.appeal()
    async with desk.worker():
        handle = await desk.start(appeal, start_signal="closed")
        await desk.environment.sleep(timedelta(days=3, minutes=1))

        await desk.wait_until(appeal, handle, "reminded", REMINDED)
        await handle.terminate()


async def test_a_signal_before_the_reminder_does_not_show_a_reminder(desk: Desk) -> None:
    appeal = await desk.appeal()
    async with desk.worker():
        handle = await desk.start(appeal, start_signal="closed")
        await eventually(lambda: waits(handle), expected=True)

        assert await attribute(handle) == "open"
        assert "- [ ] reminder" in await details(handle)
        assert "Action: none, waiting for an advisor." in await details(handle)
        await handle.terminate()


async def test_a_run_that_starts_late_records_at_once_what_is_due(desk: Desk) -> None:
    appeal = await desk.appeal(days_ago=8)
    async with desk.worker():
        handle = await desk.start(appeal)

        await desk.wait_until(appeal, handle, "overdue", OVERDUE)
        await handle.terminate()


async def test_a_run_that_is_started_again_repeats_no_mark(desk: Desk) -> None:
    appeal = await desk.appeal(days_ago=8)
    async with desk.worker():
        first = await desk.start(appeal)
        await desk.wait_until(appeal, first, "overdue", OVERDUE)
        await first.terminate()
        marked = (await desk.row(appeal)).overdue_at

        second = await desk.start(appeal)

        await desk.wait_until(appeal, second, "overdue", OVERDUE)
        assert (await desk.row(appeal)).overdue_at == marked
        await second.terminate()


async def test_the_timers_continue_with_another_worker(desk: Desk) -> None:
    appeal = await desk.appeal()
    async with desk.worker():
        handle = await desk.start(appeal)
        await eventually(lambda: waits(handle), expected=True)
    async with desk.worker():
        await desk.environment.sleep(timedelta(days=3, minutes=1))

        await desk.wait_until(appeal, handle, "reminded", REMINDED)
        await handle.terminate()


async def waits(handle: Handle) -> bool:
    """Whether the run has started its timer."""
    events = (await handle.fetch_history()).events
    return any(event.event_type == EventType.EVENT_TYPE_TIMER_STARTED for event in events)


async def test_an_appeal_that_does_not_exist_fails_the_run(desk: Desk) -> None:
    appeal = await desk.appeal()
    await desk.session.execute(delete(AppealRow))
    async with desk.worker():
        handle = await desk.start(appeal)

        with pytest.raises(WorkflowFailureError):
            await result(handle)

        described = await handle.describe()
    assert described.status is WorkflowExecutionStatus.FAILED
    assert described.typed_search_attributes[search_attributes.FAILURE_REASON] == "NotFound"


async def test_operators_see_the_times_and_the_action(desk: Desk) -> None:
    appeal = await desk.appeal(days_ago=4)
    async with desk.worker():
        handle = await desk.start(appeal)
        await desk.wait_until(appeal, handle, "reminded", REMINDED)

        shown = await details(handle)
        await handle.terminate()

    assert f"- [x] reminder: {appeal.reminder_due_at:%Y-%m-%d}" in shown
    assert f"- [ ] overdue: {appeal.answer_due_at:%Y-%m-%d}" in shown
    assert "Action: ask an advisor of the organization" in shown


async def test_a_reminder_is_logged_without_the_students_text(desk: Desk) -> None:
    appeal = await desk.appeal(days_ago=8)
    with capture_logs() as lines:
        async with desk.worker():
            handle = await desk.start(appeal)
            await desk.wait_until(appeal, handle, "overdue", OVERDUE)
            await handle.terminate()

    about = {"appeal_id": str(appeal.id), "assessment_id": str(appeal.assessment_id)}
    assert lines == [
        {"event": "appeal_reminded", "log_level": "info", **about},
        {"event": "appeal_overdue", "log_level": "warning", **about},
    ]
