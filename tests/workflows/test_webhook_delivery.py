"""`WebhookDeliveryWorkflow` over days of attempts, on a time-skipping server."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.deliver_webhook import DeliverWebhook
from activities.endpoint_slots import EndpointConcurrencyLimiter
from activities.failures import FailureInterceptor
from activities.heartbeats import HeartbeatInterceptor
from domain.database import Database
from domain.errors import CorruptData
from domain.webhooks.deliveries import DAY_S, JITTER, AttemptOutcome, Delivery, DeliveryStatus, Message, WebhookResponse
from persistence.database import create_engine, in_autocommit
from persistence.tables import AuditLogRow, WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.support.builders import an_organization
from tests.support.databases import settings_of
from tests.support.fakes import ScriptedSender, answer
from tests.support.partners import CIPHER, a_delivery, an_endpoint
from tests.workflows.publishing import Publishing
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S, eventually
from workflows.engine import search_attributes
from workflows.engine.delivery_runs import TemporalDeliveryRuns
from workflows.engine.failure_reason import FailureReasonInterceptor
from workflows.policies import DELIVERY_SCHEDULE_S, Queue
from workflows.webhook_delivery import DeliveryResult, WebhookDeliveryWorkflow, attributes, workflow_id

Handle: TypeAlias = WorkflowHandle[WebhookDeliveryWorkflow, DeliveryResult]
UNREACHABLE = WebhookResponse(outcome=AttemptOutcome.UNREACHABLE, latency_ms=1)
TOMORROW = answer(500, retry_after_s=DAY_S)
"""Delays the second attempt by a day, so that the test can act before it. The default delay is 5 s of real time."""


@dataclass
class Post:
    """The real activities with their own database and a scripted partner, and methods that start deliveries."""

    environment: WorkflowEnvironment
    session: AsyncSession
    database: Database
    organization_id: UUID
    endpoint_id: UUID
    sender: ScriptedSender = field(default_factory=ScriptedSender)
    suffix: str = field(default_factory=lambda: f"-{uuid4()}")

    @property
    def runs(self) -> TemporalDeliveryRuns:
        return TemporalDeliveryRuns(self.environment.client, Queue.WEBHOOKS + self.suffix, deadline_s=PATIENCE_S)

    def workers(self) -> tuple[Worker, Worker]:
        deliver = DeliverWebhook(self.database, self.sender, EndpointConcurrencyLimiter(10))
        return (
            Worker(
                self.environment.client,
                task_queue=Queue.WEBHOOKS + self.suffix,
                workflows=[WebhookDeliveryWorkflow],
                workflow_runner=STRICT,
                activities=[deliver.deliver_webhook, deliver.close_delivery],
                interceptors=[HeartbeatInterceptor(), FailureInterceptor(), FailureReasonInterceptor()],
            ),
            Worker(
                self.environment.client,
                task_queue=Queue.ASSESSMENTS + self.suffix,
                workflows=[Publishing],
                workflow_runner=STRICT,
            ),
        )

    async def delivery(self, **columns: Any) -> Delivery:
        delivery = await a_delivery(self.session, self.endpoint_id, self.organization_id, **columns)
        await self.session.commit()
        return delivery

    async def start(self, *answers: WebhookResponse, delivery: Delivery | None = None) -> Handle:
        self.sender.answers = list(answers)
        delivery = delivery or await self.delivery()
        # Only a handle of this environment's own client skips time during `result()`.
        return await self.environment.client.start_workflow(
            WebhookDeliveryWorkflow.run,
            delivery,
            id=workflow_id(delivery),
            task_queue=Queue.WEBHOOKS + self.suffix,
            search_attributes=attributes(delivery),
        )

    def handle(self, delivery: Delivery) -> Handle:
        return self.environment.client.get_workflow_handle_for(WebhookDeliveryWorkflow.run, workflow_id(delivery))

    async def waits(self, handle: Handle, attempts: int = 1) -> None:
        """Return when so many attempts are recorded and the run waits for the next one."""

        async def state() -> tuple[int, bool]:
            made = await self.session.scalars(select(WebhookAttemptRow.id))
            return len(made.all()), ", attempt " in await details(handle)

        await eventually(state, (attempts, True))

    async def status(self, delivery: Delivery) -> str:
        found = await self.session.scalars(
            select(WebhookDeliveryRow.status).where(WebhookDeliveryRow.id == delivery.id)
        )
        return found.one()

    async def set_endpoint(self, **columns: Any) -> None:
        await self.session.execute(update(WebhookEndpointRow).values(**columns))
        await self.session.commit()


async def details(handle: Handle) -> str:
    """The run's current details in the Web UI."""
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)


async def attribute(handle: Handle) -> object:
    return (await handle.describe()).typed_search_attributes[search_attributes.DELIVERY_STATUS]


async def result(handle: Handle) -> DeliveryResult:
    async with asyncio.timeout(PATIENCE_S):
        return await handle.result()


async def dead_letter(handle: Handle) -> str:
    """The failure of a run that must fail."""
    with pytest.raises(WorkflowFailureError) as failed:
        await result(handle)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "DeadLetter"
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED
    return str(await attribute(handle))


@pytest.fixture
async def post(environment: WorkflowEnvironment, clean_database: str) -> AsyncIterator[Post]:
    engine = create_engine(settings_of(clean_database))
    async with sessions(in_autocommit(engine))() as session:
        organization_id = await an_organization(session)
        endpoint_id = await an_endpoint(session, organization_id=organization_id)
        post = Post(environment, session, SqlDatabase(engine), organization_id, endpoint_id)
        webhooks, publishing = post.workers()
        async with webhooks, publishing:
            yield post
    await engine.dispose()


def gaps_s(times: Sequence[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]


async def test_a_success_ends_the_run(post: Post) -> None:
    delivery = await post.delivery()

    handle = await post.start(answer(200), delivery=delivery)

    assert await result(handle) == DeliveryResult(status=DeliveryStatus.DELIVERED, attempts=1, code=200)
    assert (await attribute(handle), await post.status(delivery)) == ("delivered", "delivered")


async def test_the_whole_schedule_ends_as_a_dead_letter(post: Post) -> None:
    delivery = await post.delivery()

    handle = await post.start(answer(500), delivery=delivery)

    assert await dead_letter(handle) == "dead_letter"
    sent = post.sender.sent
    assert len(sent) == len(DELIVERY_SCHEDULE_S) == 10
    assert len({(message.event_id, message.body) for message in sent}) == 1
    for gap, planned in zip(gaps_s([message.sent_at for message in sent]), DELIVERY_SCHEDULE_S[1:], strict=True):
        assert planned <= gap <= planned * (1 + JITTER) + 60
    assert await post.status(delivery) == "dead_letter"
    assert len((await handle.fetch_history()).events) < 150


async def test_attempts_continue_until_one_succeeds(post: Post) -> None:
    handle = await post.start(UNREACHABLE, answer(500), answer(204))

    assert await result(handle) == DeliveryResult(status=DeliveryStatus.DELIVERED, attempts=3, code=204)


async def test_retry_after_of_a_partner_is_respected(post: Post) -> None:
    handle = await post.start(answer(503, retry_after_s=7200.0), answer(200))

    await result(handle)

    (gap,) = gaps_s([message.sent_at for message in post.sender.sent])
    assert 7200 <= gap <= 7260


async def test_gone_is_final(post: Post) -> None:
    handle = await post.start(answer(410))

    assert await dead_letter(handle) == "dead_letter"
    assert len(post.sender.sent) == 1
    assert not (await post.session.scalars(select(WebhookEndpointRow.enabled))).one()


async def test_a_signal_ends_the_wait(post: Post) -> None:
    handle = await post.start(TOMORROW, answer(200))
    await post.waits(handle)

    await handle.signal(WebhookDeliveryWorkflow.redeliver_now)

    assert (await result(handle)).attempts == 2
    (gap,) = gaps_s([message.sent_at for message in post.sender.sent])
    assert gap < DAY_S


async def test_giving_up_makes_a_dead_letter(post: Post) -> None:
    delivery = await post.delivery()
    handle = await post.start(TOMORROW, delivery=delivery)
    await post.waits(handle)

    await handle.signal(WebhookDeliveryWorkflow.give_up)

    assert await dead_letter(handle) == "dead_letter"
    assert (await post.status(delivery), len(post.sender.sent)) == ("dead_letter", 1)
    audited = await post.session.scalars(select(AuditLogRow.details).where(AuditLogRow.resource_id == delivery.id))
    assert audited.all() == [{"reason": "given_up", "attempts": 1}]


async def test_an_endpoint_disabled_during_a_delivery_gets_no_more_requests(post: Post) -> None:
    handle = await post.start(TOMORROW)
    await post.waits(handle)

    await post.set_endpoint(enabled=False)

    assert await result(handle) == DeliveryResult(status=DeliveryStatus.CANCELLED, attempts=1, code=500)
    assert await attribute(handle) == "cancelled"


async def test_the_old_secret_signs_for_24_hours(post: Post) -> None:
    old = CIPHER.encrypt("old")
    until = await post.environment.get_current_time() + timedelta(hours=24)
    await post.set_endpoint(previous_secret=old, previous_secret_until=until)

    await dead_letter(await post.start(answer(500)))

    signed = [(message.sent_at < until, old in message.secrets) for message in post.sender.sent]
    assert set(signed) == {(True, True), (False, False)}


async def test_an_endpoint_that_fails_for_five_days_is_disabled(post: Post) -> None:
    await dead_letter(await post.start(answer(500)))

    await result(await post.start(answer(500)))

    assert not (await post.session.scalars(select(WebhookEndpointRow.enabled))).one()


async def test_the_web_ui_shows_the_progress_of_a_delivery(post: Post) -> None:
    delivery = await post.delivery()
    handle = await post.start(answer(503, retry_after_s=DAY_S), delivery=delivery)
    await post.waits(handle)

    shown = await details(handle)

    due = (await post.session.scalars(select(WebhookDeliveryRow.next_attempt_at))).one()
    assert due is not None
    assert str(post.endpoint_id) in shown
    assert "last response: 503, attempt 2 of 10 at " in shown
    assert str(delivery.event_id) in shown
    assert "Send `redeliver_now`" in shown
    await handle.terminate()


async def test_the_run_that_waits_for_the_key_of_a_secret_delivers_once_the_key_is_added(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, tries = post.sender.send, itertools.count(1)

    async def send_with_the_key(message: Message) -> WebhookResponse:
        if next(tries) <= 3:
            raise CorruptData("A stored webhook secret cannot be decrypted: add the key")
        return await send(message)

    monkeypatch.setattr(post.sender, "send", send_with_the_key)
    handle = await post.start(answer(200))

    assert await result(handle) == DeliveryResult(status=DeliveryStatus.DELIVERED, attempts=1, code=200)
    assert next(tries) == 5


async def test_a_lost_run_continues_with_its_next_attempt(post: Post) -> None:
    delivery = await post.delivery()
    lost = await post.start(TOMORROW, delivery=delivery)
    await post.waits(lost)
    await lost.terminate()

    handle = await post.start(answer(200), delivery=delivery)

    assert (await result(handle)).attempts == 2
    (gap,) = gaps_s([message.sent_at for message in post.sender.sent])
    assert gap >= DAY_S


async def test_redeliver_now_restarts_a_lost_run(post: Post) -> None:
    delivery = await post.delivery()
    lost = await post.start(TOMORROW, delivery=delivery)
    await post.waits(lost)
    await lost.terminate()
    post.sender.answers = [answer(200)]

    await post.runs.redeliver_now(delivery)

    assert (await result(post.handle(delivery))).attempts == 2
    (gap,) = gaps_s([message.sent_at for message in post.sender.sent])
    assert gap < DAY_S


async def test_an_unknown_delivery_has_a_failure_reason(post: Post) -> None:
    unknown = Delivery(
        id=uuid4(), organization_id=post.organization_id, event_id=uuid4(), endpoint_id=post.endpoint_id, n=1
    )

    handle = await post.start(delivery=unknown)

    with pytest.raises(WorkflowFailureError):
        await result(handle)
    found = (await handle.describe()).typed_search_attributes
    assert found[search_attributes.FAILURE_REASON] == "NotFound"
    assert post.sender.sent == []


async def test_publishing_starts_every_delivery_once(post: Post) -> None:
    deliveries = [await post.delivery() for _ in range(3)]
    post.sender.answers = [TOMORROW, answer(200)]
    await post.runs.start(deliveries[0])
    handle = post.handle(deliveries[0])
    await post.waits(handle)

    await post.environment.client.execute_workflow(
        Publishing.run, deliveries, id=f"publishing-{uuid4()}", task_queue=Queue.ASSESSMENTS + post.suffix
    )
    await handle.signal(WebhookDeliveryWorkflow.redeliver_now)

    for delivery in deliveries:
        assert (await result(post.handle(delivery))).status is DeliveryStatus.DELIVERED
    assert len(post.sender.sent) == 4


async def test_a_redelivery_has_its_own_run(post: Post) -> None:
    delivery = await post.delivery()
    await dead_letter(await post.start(answer(410), delivery=delivery))
    await post.set_endpoint(enabled=True)

    again = await post.delivery(event_id=delivery.event_id, n=2)
    handle = await post.start(answer(200), delivery=again)

    assert handle.id == f"webhook-{delivery.event_id}-{delivery.endpoint_id}-2"
    assert (await result(handle)).status is DeliveryStatus.DELIVERED
    assert len({message.event_id for message in post.sender.sent}) == 1


async def test_no_secret_and_no_body_is_in_the_history(post: Post) -> None:
    handle = await post.start(answer(500, excerpt="what-the-partner-said"), answer(200))

    await result(handle)

    kept = (await handle.fetch_history()).to_json()
    (first, *_) = post.sender.sent
    for hidden in (first.body.decode(), first.url, "what-the-partner-said"):
        assert hidden not in kept
