"""The port `AssessmentRuns` with a real server and without one."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from activities.adapters.circuit import CircuitOpen
from deploy.local.ports import HOST, free_port
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.errors import ExternalServiceError
from tests.workflows.waiting import eventually
from workflows.assessment import AssessmentInput, AssessmentOutcome, AssessmentWorkflow
from workflows.engine import search_attributes
from workflows.engine.assessment_runs import TemporalAssessmentRuns, workflow_id
from workflows.engine.calls import LIVE_PAGE
from workflows.engine.client import connect
from workflows.policies import Queue

Handle = WorkflowHandle[AssessmentWorkflow, AssessmentOutcome]
GENEROUS_S = 30


@pytest.fixture
def queue() -> str:
    return f"{Queue.ASSESSMENTS}-{uuid4()}"


@pytest.fixture
def runs(temporal_client: Client, queue: str) -> TemporalAssessmentRuns:
    """No worker runs, so runs stay open."""
    return TemporalAssessmentRuns(temporal_client, queue, deadline_s=GENEROUS_S)


@pytest.fixture
def assessment() -> Assessment:
    return an_assessment()


def an_assessment() -> Assessment:
    return Assessment(
        id=uuid4(),
        user_id=uuid4(),
        organization_id=uuid4(),
        role_id=uuid4(),
        status=AssessmentStatus.AWAITING_ASYNC,
        run=1,
        revision=0,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def handle_of(client: Client, assessment: Assessment) -> Handle:
    return client.get_workflow_handle_for(AssessmentWorkflow.run, workflow_id(assessment.id))


async def signals(handle: Handle) -> int:
    signalled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return [event.event_type for event in (await handle.fetch_history()).events].count(signalled)


async def test_a_start_sets_search_attributes_and_details(
    temporal_client: Client, runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    await runs.submit(assessment)

    described = await handle_of(temporal_client, assessment).describe()
    attributes = described.typed_search_attributes
    assert attributes[search_attributes.ASSESSMENT_STATUS] == "awaiting_async"
    assert attributes[search_attributes.ROLE_ID] == str(assessment.role_id)
    assert attributes[search_attributes.ORGANIZATION_ID] == str(assessment.organization_id)
    assert await described.static_summary() == f"Assessment {assessment.id} of student {assessment.user_id}"
    assert "`submit`" in str(await described.static_details())


async def test_organizations_take_turns(
    temporal_client: Client, runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    await runs.submit(assessment)

    (first, *_) = (await handle_of(temporal_client, assessment).fetch_history()).events
    priority = first.workflow_execution_started_event_attributes.priority
    assert priority.fairness_key == str(assessment.organization_id)


async def test_a_submission_is_one_start_with_the_signal(
    temporal_client: Client, runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    await runs.submit(assessment)

    events = (await handle_of(temporal_client, assessment).fetch_history()).events
    assert [event.event_type for event in events] == [
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    ]


async def test_submitting_twice_leaves_one_run(
    temporal_client: Client, runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    handle = handle_of(temporal_client, assessment)
    await runs.submit(assessment)
    first = (await handle.describe()).run_id

    await runs.submit(assessment)

    assert (await handle.describe()).run_id == first


async def test_a_submission_signals_the_run_that_an_earlier_release_started(
    temporal_client: Client, queue: str, runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    handle = handle_of(temporal_client, assessment)
    await temporal_client.start_workflow(
        AssessmentWorkflow.run,
        AssessmentInput(assessment_id=assessment.id, expires_at=assessment.expires_at),
        id=handle.id,
        task_queue=queue,
    )
    first = (await handle.describe()).run_id

    await runs.submit(assessment)

    assert (await handle.describe()).run_id == first
    assert await signals(handle) == 1


async def test_a_submission_starts_a_new_run_where_the_last_one_ended(
    temporal_client: Client, runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    handle = handle_of(temporal_client, assessment)
    await runs.submit(assessment)
    first = (await handle.describe()).run_id
    await handle.terminate()

    await runs.submit(assessment)

    assert (await handle.describe()).run_id != first


async def test_live_returns_the_ids_of_open_runs(temporal_client: Client, runs: TemporalAssessmentRuns) -> None:
    alive, ended, never = an_assessment(), an_assessment(), an_assessment()
    await runs.submit(alive)
    await runs.submit(ended)
    await handle_of(temporal_client, ended).terminate()

    async def live() -> frozenset[UUID]:
        return await runs.live([alive.id, ended.id, never.id])

    await eventually(live, frozenset({alive.id}))


async def test_one_call_accepts_a_whole_page_of_ids_and_no_more(
    runs: TemporalAssessmentRuns, assessment: Assessment
) -> None:
    await runs.submit(assessment)
    others = [uuid4() for _ in range(LIVE_PAGE - 1)]

    async def live() -> frozenset[UUID]:
        return await runs.live([*others, assessment.id])

    await eventually(live, frozenset({assessment.id}))
    with pytest.raises(ValueError, match="at most 200"):
        await runs.live([*others, assessment.id, uuid4()])


@pytest.fixture(params=["refuses", "swallows"])
async def no_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A lazy client of a closed port, or of a port that accepts connections and never responds."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()

    if request.param == "refuses":
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HOST}:{free_port()}")
        yield await connect(lazy=True)
    else:
        async with await asyncio.start_server(swallow, HOST, 0) as hole:
            monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HOST}:{hole.sockets[0].getsockname()[1]}")
            yield await connect(lazy=True)


async def test_without_a_server_a_call_times_out(no_server: Client, assessment: Assessment) -> None:
    runs = TemporalAssessmentRuns(no_server)

    async with asyncio.timeout(GENEROUS_S):
        with pytest.raises(ExternalServiceError):
            await runs.submit(assessment)


async def test_without_a_server_nothing_is_known_to_be_live(no_server: Client, assessment: Assessment) -> None:
    runs = TemporalAssessmentRuns(no_server, deadline_s=0.1)

    async with asyncio.timeout(GENEROUS_S):
        with pytest.raises(ExternalServiceError):
            await runs.live([assessment.id])


async def test_after_five_failures_calls_are_rejected_at_once(no_server: Client, assessment: Assessment) -> None:
    runs = TemporalAssessmentRuns(no_server, deadline_s=0.2)

    refused = [await refusal(runs, assessment) for _ in range(6)]

    assert [isinstance(error.__cause__, CircuitOpen) for error in refused] == [False] * 5 + [True]


async def test_rejected_calls_do_not_extend_a_traceback(no_server: Client, assessment: Assessment) -> None:
    runs = TemporalAssessmentRuns(no_server, deadline_s=0.2)
    for _ in range(5):
        await refusal(runs, assessment)

    kept = [frames(await refusal(runs, assessment)) for _ in range(5)]

    assert len(set(kept)) == 1


def frames(error: BaseException | None) -> int:
    """The number of frames that the error and the errors before it keep in memory."""
    if error is None:
        return 0
    return len([*traceback.walk_tb(error.__traceback__)]) + frames(error.__context__)


async def refusal(runs: TemporalAssessmentRuns, assessment: Assessment) -> ExternalServiceError:
    with pytest.raises(ExternalServiceError) as refused:
        await runs.submit(assessment)
    return refused.value
