"""The port `AppealRuns` with a real server and without one."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from deploy.local.ports import HOST, free_port
from domain.appeals import Appeal, AppealState
from domain.errors import ExternalServiceError
from tests.workflows.waiting import eventually
from workflows.appeal import AppealResult, AppealWorkflow, workflow_id
from workflows.engine import search_attributes
from workflows.engine.appeal_runs import TemporalAppealRuns
from workflows.engine.client import connect
from workflows.policies import Queue

GENEROUS_S = 30


@pytest.fixture
def runs(temporal_client: Client) -> TemporalAppealRuns:
    """No worker runs, so runs stay open."""
    return TemporalAppealRuns(temporal_client, f"{Queue.ASSESSMENTS}-{uuid4()}", deadline_s=GENEROUS_S)


@pytest.fixture
def appeal() -> Appeal:
    now = datetime.now(UTC)
    return Appeal(
        id=uuid4(),
        assessment_id=uuid4(),
        snapshot_id=uuid4(),
        question_id=uuid4(),
        organization_id=uuid4(),
        user_id=uuid4(),
        role_id=uuid4(),
        revision=1,
        state=AppealState.OPEN,
        reminder_due_at=now + timedelta(days=3),
        answer_due_at=now + timedelta(days=7),
    )


def handle_of(client: Client, appeal: Appeal) -> WorkflowHandle[AppealWorkflow, AppealResult]:
    return client.get_workflow_handle_for(AppealWorkflow.run, workflow_id(appeal.id))


async def signals(client: Client, appeal: Appeal) -> int:
    signalled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    events = (await handle_of(client, appeal).fetch_history()).events
    return [event.event_type for event in events].count(signalled)


async def test_a_start_sets_search_attributes_and_details(
    temporal_client: Client, runs: TemporalAppealRuns, appeal: Appeal
) -> None:
    await runs.start(appeal)

    described = await handle_of(temporal_client, appeal).describe()
    attributes = described.typed_search_attributes
    assert attributes[search_attributes.APPEAL_STATE] == "open"
    assert attributes[search_attributes.STUDENT_ID] == str(appeal.user_id)
    assert attributes[search_attributes.ROLE_ID] == str(appeal.role_id)
    assert attributes[search_attributes.ORGANIZATION_ID] == str(appeal.organization_id)
    assert await described.static_summary() == f"Appeal {appeal.id} of assessment {appeal.assessment_id}"
    assert "docs/runbooks/appeals.md" in str(await described.static_details())


async def test_a_second_start_changes_nothing(
    temporal_client: Client, runs: TemporalAppealRuns, appeal: Appeal
) -> None:
    await runs.start(appeal)
    first = await handle_of(temporal_client, appeal).describe()

    await runs.start(appeal)

    assert (await handle_of(temporal_client, appeal).describe()).run_id == first.run_id


@pytest.mark.parametrize("started", [True, False])
async def test_a_closed_appeal_signals_its_run_or_starts_one(
    temporal_client: Client, runs: TemporalAppealRuns, appeal: Appeal, *, started: bool
) -> None:
    if started:
        await runs.start(appeal)

    await runs.closed(appeal)

    assert await signals(temporal_client, appeal) == 1


async def test_a_live_run_is_known(temporal_client: Client, runs: TemporalAppealRuns, appeal: Appeal) -> None:
    await runs.start(appeal)
    await eventually(lambda: runs.live([appeal]), frozenset({appeal.id}))

    await handle_of(temporal_client, appeal).terminate()

    await eventually(lambda: runs.live([appeal]), frozenset())


async def test_without_a_server_a_call_fails(appeal: Appeal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HOST}:{free_port()}")
    runs = TemporalAppealRuns(await connect(lazy=True))

    with pytest.raises(ExternalServiceError):
        await runs.start(appeal)
