"""Reconciliation on real servers: an assessment without a running workflow gets its result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from activities.reconcile import Reconcile, Swept
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.errors import ExternalServiceError
from domain.sweeps import Concern
from persistence.database import create_engine
from persistence.tables import AssessmentRow
from persistence.unit_of_work import SqlDatabase, SqlUnitOfWork, sessions
from tests.activities.builders import an_index
from tests.support.databases import settings_of
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
)
from tests.workflows.pipeline import ONE_RESULT, Pipeline
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S, eventually
from workflows.engine.assessment_runs import workflow_id
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.policies import Queue
from workflows.reconciliation import CONCERN, ReconciliationWorkflow

MINUTE_AGO = datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture
async def alone(temporal_client: Client, clean_database: str, logged: Callable[[], str]) -> AsyncIterator[Pipeline]:
    """A pipeline with its own database, because a sweep reads all rows."""
    del logged
    engine = create_engine(settings_of(clean_database))
    async with sessions(engine)() as session:
        index = await an_index(session)
        await session.commit()
    pipeline = Pipeline(client=temporal_client, sessions=sessions(engine), database=SqlDatabase(engine), index=index)
    yield pipeline
    assert await pipeline.leaks() == []
    await engine.dispose()


async def sweep(client: Client, queue: str, concern: Concern) -> tuple[str, Swept]:
    """The workflow's id and its result."""
    id_, memo = f"reconciliation-{uuid4()}", {CONCERN: concern.value}
    async with asyncio.timeout(PATIENCE_S):
        return id_, await client.execute_workflow(ReconciliationWorkflow.run, id=id_, task_queue=queue, memo=memo)


async def sweep_of(pipeline: Pipeline) -> dict[Concern, int]:
    """Sweep every concern of assessments. Return the numbers of started runs."""
    started = {}
    for concern in (Concern.UNCLAIMED, Concern.CLAIMED, Concern.EXPIRY, Concern.HEALING, Concern.REVIEWS):
        id_, swept = await sweep(pipeline.client, Queue.ASSESSMENTS + pipeline.suffix, concern)
        pipeline.executions.add((id_, None))
        started[concern] = swept.started
    return started


async def statuses(pipeline: Pipeline, *assessments: Assessment) -> list[AssessmentStatus]:
    return [(await pipeline.row(assessment)).status for assessment in assessments]


async def test_a_sweep_starts_missing_runs(alone: Pipeline) -> None:
    unclaimed = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    claimed = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO, claimed_at=MINUTE_AGO)
    due = await alone.assessment(expires_at=MINUTE_AGO)
    async with alone.workers():
        assert sum((await sweep_of(alone)).values()) == 3
        await eventually(lambda: statuses(alone, unclaimed, claimed, due), [AssessmentStatus.COMPLETED] * 3)

    for assessment in (unclaimed, claimed, due):
        alone.executions.add((workflow_id(assessment.id), None))
    assert [await alone.published(each) for each in (unclaimed, claimed, due)] == [ONE_RESULT] * 3


async def test_a_second_sweep_finds_nothing_to_do(alone: Pipeline) -> None:
    assessment = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    async with alone.workers():
        await sweep_of(alone)
        await eventually(lambda: statuses(alone, assessment), [AssessmentStatus.COMPLETED])

        assert set((await sweep_of(alone)).values()) == {0}

    assert await alone.published(assessment) == ONE_RESULT


async def test_a_submission_that_its_live_run_missed_reaches_it_and_repeated_sweeps_add_no_events(
    alone: Pipeline,
) -> None:
    assessment = await alone.assessment()
    handle = await alone.start(assessment)
    async with alone.database.transaction() as uow:
        before, _ = await uow.assessments.lock(assessment.id)
        await uow.assessments.save(before, before.submit())
        await uow.commit()
    async with alone.sessions() as session:
        await session.execute(update(AssessmentRow).values(submitted_at=MINUTE_AGO))
        await session.commit()

    for _ in range(3):
        assert not await alone.runs.resume(assessment)
    signals = [
        each
        async for each in handle.fetch_history_events()
        if each.HasField("workflow_execution_signaled_event_attributes")
    ]
    async with alone.workers():
        await handle.result()

    assert len(signals) == 1
    assert await alone.published(assessment) == ONE_RESULT


async def test_a_run_that_has_ended_is_started_again_although_it_had_the_signal(alone: Pipeline) -> None:
    assessment = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    assert await alone.runs.resume(assessment)
    assert not await alone.runs.resume(assessment)
    await alone.client.get_workflow_handle(workflow_id(assessment.id)).terminate()

    assert await alone.runs.resume(assessment)

    alone.executions.add((workflow_id(assessment.id), None))
    await alone.client.get_workflow_handle(workflow_id(assessment.id)).terminate()


class UnreliableRuns(RecordingRuns):
    """Raises the next error of `failures` at each call, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)

    async def submit(self, assessment: Assessment) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super().submit(assessment)


async def sweep_with(environment: WorkflowEnvironment, pipeline: Pipeline, runs: RecordingRuns) -> Swept:
    """Sweep on the time-skipping server."""
    queue = f"{Queue.ASSESSMENTS}-{uuid4()}"
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=[ReconciliationWorkflow],
        workflow_runner=STRICT,
        activities=[
            Reconcile(
                pipeline.database,
                runs,
                RecordingDeliveries(),
                RecordingErasures(),
                RecordingCatalogRuns(),
                RecordingAppeals(),
                RecordingRescores(),
                RecordingLinkMails(),
            ).reconcile
        ],
        interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
    ):
        return (await sweep(environment.client, queue, Concern.UNCLAIMED))[1]


async def test_a_start_that_fails_is_reported_and_left_to_the_next_sweep(
    environment: WorkflowEnvironment, alone: Pipeline
) -> None:
    assessment = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    runs = UnreliableRuns(ExternalServiceError("Away"))

    first, second = [await sweep_with(environment, alone, runs) for _ in range(2)]

    assert (first.started, dict(first.errors)) == (0, {ExternalServiceError.code: 1})
    assert (second.started, dict(second.errors)) == (1, {})
    assert runs.submitted == [assessment.id]


class BrokenDatabase(SqlDatabase):
    def statement(self) -> SqlUnitOfWork:
        raise ValueError


async def test_a_sweep_without_its_database_fails_after_three_attempts(
    environment: WorkflowEnvironment, alone: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    broken = replace(alone, database=BrokenDatabase(pipeline_engine))

    with pytest.raises(WorkflowFailureError):
        await sweep_with(environment, broken, UnreliableRuns())
