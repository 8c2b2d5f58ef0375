"""The port `DeliveryRuns` with a real server and without one."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from deploy.local.ports import HOST, free_port
from domain.errors import ExternalServiceError
from domain.webhooks.deliveries import Delivery
from tests.workflows.waiting import eventually
from workflows.engine import search_attributes
from workflows.engine.client import connect
from workflows.engine.delivery_runs import TemporalDeliveryRuns
from workflows.policies import Queue
from workflows.webhook_delivery import DeliveryResult, WebhookDeliveryWorkflow, workflow_id

GENEROUS_S = 30


@pytest.fixture
def runs(temporal_client: Client) -> TemporalDeliveryRuns:
    """No worker runs, so runs stay open."""
    return TemporalDeliveryRuns(temporal_client, f"{Queue.WEBHOOKS}-{uuid4()}", deadline_s=GENEROUS_S)


@pytest.fixture
def delivery() -> Delivery:
    return Delivery(id=uuid4(), organization_id=uuid4(), event_id=uuid4(), endpoint_id=uuid4(), n=1)


def handle_of(client: Client, delivery: Delivery) -> WorkflowHandle[WebhookDeliveryWorkflow, DeliveryResult]:
    return client.get_workflow_handle_for(WebhookDeliveryWorkflow.run, workflow_id(delivery))


async def signals(client: Client, delivery: Delivery) -> int:
    signalled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    events = (await handle_of(client, delivery).fetch_history()).events
    return [event.event_type for event in events].count(signalled)


async def test_a_start_sets_search_attributes_and_details(
    temporal_client: Client, runs: TemporalDeliveryRuns, delivery: Delivery
) -> None:
    await runs.start(delivery)

    described = await handle_of(temporal_client, delivery).describe()
    attributes = described.typed_search_attributes
    assert attributes[search_attributes.DELIVERY_STATUS] == "pending"
    assert attributes[search_attributes.ORGANIZATION_ID] == str(delivery.organization_id)
    summary = await described.static_summary()
    assert "`redeliver_now`" in str(await described.static_details())
    assert summary == f"Event {delivery.event_id} to endpoint {delivery.endpoint_id}"


async def test_endpoints_take_turns(temporal_client: Client, runs: TemporalDeliveryRuns, delivery: Delivery) -> None:
    await runs.start(delivery)

    (first, *_) = (await handle_of(temporal_client, delivery).fetch_history()).events
    priority = first.workflow_execution_started_event_attributes.priority
    assert priority.fairness_key == str(delivery.endpoint_id)


async def test_starting_twice_leaves_one_run(
    temporal_client: Client, runs: TemporalDeliveryRuns, delivery: Delivery
) -> None:
    await runs.start(delivery)
    first = (await handle_of(temporal_client, delivery).describe()).run_id

    await runs.start(delivery)

    assert (await handle_of(temporal_client, delivery).describe()).run_id == first
    assert await signals(temporal_client, delivery) == 0


async def test_redeliver_now_signals_a_waiting_run_and_starts_a_lost_one(
    temporal_client: Client, runs: TemporalDeliveryRuns, delivery: Delivery
) -> None:
    other = replace(delivery, event_id=uuid4())
    await runs.start(delivery)

    await runs.redeliver_now(delivery)
    await runs.redeliver_now(other)

    assert await signals(temporal_client, delivery) == 1
    assert await signals(temporal_client, other) == 1


async def test_live_returns_the_ids_of_open_runs(
    temporal_client: Client, runs: TemporalDeliveryRuns, delivery: Delivery
) -> None:
    ended, never = [replace(delivery, id=uuid4(), event_id=uuid4()) for _ in range(2)]
    await runs.start(delivery)
    await runs.start(ended)
    await handle_of(temporal_client, ended).terminate()

    async def live() -> frozenset[UUID]:
        return await runs.live([delivery, ended, never])

    await eventually(live, frozenset({delivery.id}))


async def test_without_a_server_a_call_times_out(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HOST}:{free_port()}")
    runs = TemporalDeliveryRuns(await connect(lazy=True))

    async with asyncio.timeout(GENEROUS_S):
        with pytest.raises(ExternalServiceError):
            await runs.redeliver_now(delivery)
