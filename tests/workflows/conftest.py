"""Two servers: a time-skipping one with scripted activities, and a dev server with the real activities."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from deploy.local.ports import free_port
from deploy.local.temporal import TemporalDevServer, time_skipping_server
from persistence.database import create_engine
from persistence.unit_of_work import SqlDatabase, sessions
from tests.activities.builders import an_index
from tests.support.databases import Databases, settings_of
from tests.support.fake_search import InMemoryCredentialIndex
from tests.workflows.pipeline import MARKED, Pipeline
from tests.workflows.polling import RepeatedPolls
from tests.workflows.sandbox import STRICT
from tests.workflows.scripted import ScriptedActivities, WorkflowHarness
from workflows.assessment import AssessmentWorkflow
from workflows.engine import search_attributes
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.policies import Queue
from workflows.revision import RevisionWorkflow


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """One server per module: a run that a test leaves open would keep waking up while a later test skips days."""
    server = str(time_skipping_server())
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, interceptors=[RepeatedPolls()]
    ) as running:
        # This server cannot list search attributes, so `register` does not work on it.
        await running.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=running.client.namespace, search_attributes=search_attributes.TYPES)
        )
        yield running


@pytest.fixture
async def harness(environment: WorkflowEnvironment) -> AsyncIterator[WorkflowHarness]:
    activities, suffix = ScriptedActivities(), f"-{uuid4()}"
    async with (
        Worker(
            environment.client,
            task_queue=Queue.ASSESSMENTS + suffix,
            workflows=[AssessmentWorkflow, RevisionWorkflow],
            workflow_runner=STRICT,
            activities=activities.all(),
            interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
        ),
        Worker(
            environment.client,
            task_queue=Queue.LLM + suffix,
            activities=activities.all(),
            interceptors=[FailureInterceptor()],
        ),
        Worker(
            environment.client,
            task_queue=Queue.EMBEDDINGS + suffix,
            activities=activities.all(),
            interceptors=[FailureInterceptor()],
        ),
    ):
        yield WorkflowHarness(environment, activities, Queue.ASSESSMENTS + suffix)


@pytest.fixture(scope="session")
def temporal_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporal") / "server.log"


@pytest.fixture(scope="session")
async def temporal_client(temporal_log: Path) -> AsyncIterator[Client]:
    """An in-memory dev server like that of `make up`. Tests share it and use unique queues and ids."""
    with TemporalDevServer(None, free_port(), None, log=temporal_log) as server:
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        await search_attributes.register(client)
        yield client


@pytest.fixture(scope="session")
def pipeline_database(databases: Databases, worker_name: str) -> Iterator[str]:
    """A database for tests that commit; no other tests use it."""
    with databases.new(f"{worker_name}_pipeline") as url:
        yield url


@pytest.fixture(scope="session")
async def pipeline_engine(pipeline_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(pipeline_database))
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def pipeline_index(pipeline_engine: AsyncEngine) -> InMemoryCredentialIndex:
    async with sessions(pipeline_engine)() as session:
        index = await an_index(session)
        await session.commit()
    return index


@pytest.fixture
def logged(
    temporal_log: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], str]]:
    """The output so far. At the end, it must contain no data of learners."""
    caplog.set_level("INFO")
    printed: list[str] = []

    def read() -> str:
        printed.extend(capfd.readouterr())
        records = [caplog.handler.format(record) for record in caplog.get_records("call")]
        return "\n".join([*printed, *records, str(events), temporal_log.read_text()]).lower()

    with capture_logs() as events:
        yield read
    assert [marked for marked in MARKED if marked in read()] == []


@pytest.fixture
async def pipeline(
    temporal_client: Client,
    pipeline_engine: AsyncEngine,
    pipeline_index: InMemoryCredentialIndex,
    logged: Callable[[], str],
) -> AsyncIterator[Pipeline]:
    """The real pipeline. After each test, no text of a learner may be outside Postgres."""
    del logged
    pipeline = Pipeline(
        client=temporal_client,
        sessions=sessions(pipeline_engine),
        database=SqlDatabase(pipeline_engine),
        index=pipeline_index,
    )
    yield pipeline
    assert await pipeline.leaks() == []
