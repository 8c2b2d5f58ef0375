"""Reconciliation on real servers: an assessment without a running workflow gets its result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from activities.reconcile import Reconcile, Reconciled
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.errors import ExternalServiceError
from persistence.database import create_engine
from persistence.unit_of_work import SqlDatabase, sessions
from tests.activities.builders import an_index
from tests.support.databases import settings_of
from tests.support.fakes import (
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingRescores,
    RecordingRuns,
)
from tests.workflows.pipeline import ONE_RESULT, Pipeline
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S, eventually
from workflows.engine.assessment_runs import workflow_id
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.policies import Queue
from workflows.reconciliation import ReconciliationWorkflow

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


async def sweep(client: Client, queue: str) -> tuple[str, Reconciled]:
    """The workflow's id and its result."""
    id_ = f"reconciliation-{uuid4()}"
    async with asyncio.timeout(PATIENCE_S):
        return id_, await client.execute_workflow(ReconciliationWorkflow.run, id=id_, task_queue=queue)


async def sweep_of(pipeline: Pipeline) -> Reconciled:
    id_, swept = await sweep(pipeline.client, Queue.ASSESSMENTS + pipeline.suffix)
    pipeline.executions.add((id_, None))
    return swept


async def statuses(pipeline: Pipeline, *assessments: Assessment) -> list[AssessmentStatus]:
    return [(await pipeline.row(assessment)).status for assessment in assessments]


async def test_a_sweep_starts_missing_runs(alone: Pipeline) -> None:
    unclaimed = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    claimed = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO, claimed_at=MINUTE_AGO)
    due = await alone.assessment(expires_at=MINUTE_AGO)
    answering = await alone.assessment()
    async with alone.workers():
        assert (await sweep_of(alone)).submitted == 1
        await eventually(lambda: statuses(alone, unclaimed, claimed, due), [AssessmentStatus.COMPLETED] * 3)

    for assessment in (unclaimed, claimed, due, answering):
        alone.executions.add((workflow_id(assessment.id), None))
    described = await alone.client.get_workflow_handle(workflow_id(answering.id)).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING
    assert [await alone.published(each) for each in (unclaimed, claimed, due)] == [ONE_RESULT] * 3


async def test_a_second_sweep_finds_nothing_to_do(alone: Pipeline) -> None:
    assessment = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    async with alone.workers():
        await sweep_of(alone)
        await eventually(lambda: statuses(alone, assessment), [AssessmentStatus.COMPLETED])

        assert await sweep_of(alone) == Reconciled(submitted=0, resumed=0, expired=0, stale_jobs=0)

    assert await alone.published(assessment) == ONE_RESULT


class UnreliableRuns(RecordingRuns):
    """Raises the next error of `failures` at each call, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)

    async def submit(self, assessment: Assessment) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super().submit(assessment)


async def sweep_with(environment: WorkflowEnvironment, pipeline: Pipeline, runs: RecordingRuns) -> Reconciled:
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
                RecordingRescores(),
            ).reconcile
        ],
        interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
    ):
        return (await sweep(environment.client, queue))[1]


async def test_a_sweep_retries_a_failed_start(environment: WorkflowEnvironment, alone: Pipeline) -> None:
    assessment = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    runs = UnreliableRuns(ExternalServiceError("Away"), ExternalServiceError("Away"))

    assert (await sweep_with(environment, alone, runs)).submitted == 1

    assert runs.submitted == [assessment.id]


async def test_a_lasting_outage_of_the_engine_is_left_to_the_next_sweep(
    environment: WorkflowEnvironment, alone: Pipeline
) -> None:
    assessment = await alone.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    runs = UnreliableRuns(*[ExternalServiceError("Away")] * 3)

    with pytest.raises(WorkflowFailureError):
        await sweep_with(environment, alone, runs)

    assert (runs.failures, runs.submitted) == ([], [])
    assert await alone.row(assessment) == assessment
