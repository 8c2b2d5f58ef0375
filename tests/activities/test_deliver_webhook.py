"""One webhook request: it is recorded once, not repeated without need, and not sent to a forbidden endpoint."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.deliver_webhook import AttemptInput, AttemptResult, CloseInput, DeliverWebhook
from activities.endpoint_slots import EndpointConcurrencyLimiter
from domain.database import Database
from domain.errors import CorruptData, StorageUnavailable
from domain.webhooks.deliveries import Delivery, DeliveryStatus, Message, WebhookResponse
from persistence.tables import WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow
from tests.support.builders import an_organization
from tests.support.fakes import FailingDatabase, ScriptedSender, answer
from tests.support.partners import a_delivery, an_endpoint

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def delivery(session: AsyncSession) -> Delivery:
    organization_id = await an_organization(session)
    return await a_delivery(session, await an_endpoint(session, organization_id=organization_id), organization_id)


@pytest.fixture
def sender() -> ScriptedSender:
    return ScriptedSender()


@pytest.fixture
def deliver(database: Database, sender: ScriptedSender) -> DeliverWebhook:
    return DeliverWebhook(database, sender, EndpointConcurrencyLimiter(1))


async def run(
    deliver: DeliverWebhook,
    delivery: Delivery,
    attempt: int = 1,
    *,
    then_wait_s: float | None = 5.0,
    now: datetime = NOW,
    retries: int = 0,
) -> AttemptResult:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=now, attempt=retries + 1)
    attempted: AttemptResult = await environment.run(
        deliver.deliver_webhook, AttemptInput(delivery=delivery, attempt=attempt, then_wait_s=then_wait_s)
    )
    return attempted


async def status(session: AsyncSession, delivery: Delivery) -> str:
    statement = select(WebhookDeliveryRow.status).where(WebhookDeliveryRow.id == delivery.id)
    return (await session.scalars(statement)).one()


async def test_a_success_is_returned_and_recorded(
    session: AsyncSession, deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender
) -> None:
    assert await run(deliver, delivery) == AttemptResult(status=DeliveryStatus.DELIVERED, attempts=1, code=200)

    assert [message.sent_at for message in sender.sent] == [NOW]
    assert await status(session, delivery) == "delivered"


@pytest.mark.parametrize(("found", "wait_s"), [(answer(500), 300.0), (answer(503, retry_after_s=900.0), 900.0)])
async def test_a_failed_request_is_a_result_and_not_an_error(
    deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender, found: WebhookResponse, wait_s: float
) -> None:
    sender.answers = [found]

    assert await run(deliver, delivery, then_wait_s=300.0) == AttemptResult(
        status=DeliveryStatus.PENDING, attempts=1, code=found.code, wait_s=wait_s
    )


@pytest.mark.parametrize(("found", "then_wait_s"), [(answer(410), 300.0), (answer(500), None)])
async def test_a_gone_endpoint_or_the_last_failure_makes_a_dead_letter(
    deliver: DeliverWebhook,
    delivery: Delivery,
    sender: ScriptedSender,
    found: WebhookResponse,
    then_wait_s: float | None,
) -> None:
    sender.answers = [found]

    assert await run(deliver, delivery, then_wait_s=then_wait_s) == AttemptResult(
        status=DeliveryStatus.DEAD_LETTER, attempts=1, code=found.code
    )


async def test_an_attempt_on_record_is_not_made_again(
    deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender
) -> None:
    sender.answers = [answer(500)]
    await run(deliver, delivery, then_wait_s=300.0)

    again = await run(deliver, delivery, now=NOW + timedelta(seconds=100))

    assert again == AttemptResult(status=DeliveryStatus.PENDING, attempts=1, code=500, wait_s=200.0)
    assert len(sender.sent) == 1


async def test_a_run_with_an_outdated_attempt_number_gets_the_stored_state(
    deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender
) -> None:
    sender.answers = [answer(500)]
    for number in (1, 2, 3):
        await run(deliver, delivery, number)

    assert (await run(deliver, delivery, 1)).attempts == 3
    assert len(sender.sent) == 3


@pytest.mark.parametrize("ended", [DeliveryStatus.DELIVERED, DeliveryStatus.DEAD_LETTER, DeliveryStatus.CANCELLED])
async def test_an_ended_delivery_is_not_sent(
    session: AsyncSession, deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender, ended: DeliveryStatus
) -> None:
    await session.execute(update(WebhookDeliveryRow).where(WebhookDeliveryRow.id == delivery.id).values(status=ended))

    assert (await run(deliver, delivery)).status is ended
    assert sender.sent == []


async def test_a_forbidden_delivery_is_cancelled(
    session: AsyncSession, deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender
) -> None:
    await session.execute(update(WebhookEndpointRow).values(enabled=False))

    assert (await run(deliver, delivery)).status is DeliveryStatus.CANCELLED
    assert sender.sent == []
    assert await status(session, delivery) == "cancelled"


async def test_an_endpoint_without_a_free_slot_gets_no_request(
    deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender
) -> None:
    with deliver._slots.held(delivery.endpoint_id), pytest.raises(ApplicationError) as refused:
        await run(deliver, delivery)

    assert refused.value.category is ApplicationErrorCategory.BENIGN
    assert sender.sent == []


async def test_a_rate_limit_is_respected(
    session: AsyncSession, deliver: DeliverWebhook, delivery: Delivery, sender: ScriptedSender
) -> None:
    await session.execute(update(WebhookEndpointRow).values(rate_limit_per_minute=1))
    other = await a_delivery(session, delivery.endpoint_id, delivery.organization_id)
    await run(deliver, delivery)

    with pytest.raises(ApplicationError) as refused:
        await run(deliver, other)

    assert refused.value.next_retry_delay is not None
    assert 50 < refused.value.next_retry_delay.total_seconds() <= 60
    assert (refused.value.category, len(sender.sent)) == (ApplicationErrorCategory.BENIGN, 1)


class KeylessSender(ScriptedSender):
    """A sender without the key that encrypted the endpoint's secret."""

    async def send(self, message: Message) -> WebhookResponse:  # noqa: ARG002  # the port's signature
        raise CorruptData("A stored webhook secret cannot be decrypted: add the key")


@pytest.mark.parametrize(("retries", "minutes"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 15), (1_000_000, 15)])
async def test_a_delivery_waits_longer_and_longer_for_the_key_of_its_secret(
    session: AsyncSession, database: Database, delivery: Delivery, retries: int, minutes: int
) -> None:
    deliver = DeliverWebhook(database, KeylessSender(), EndpointConcurrencyLimiter(1))

    with pytest.raises(ApplicationError, match="add the key") as waiting:
        await run(deliver, delivery, retries=retries)

    assert (waiting.value.type, waiting.value.non_retryable) == ("SecretUnreadable", False)
    assert waiting.value.next_retry_delay == timedelta(minutes=minutes)
    assert await status(session, delivery) == "pending"


async def test_a_delivery_that_waited_for_a_key_is_cancelled_when_its_endpoint_is_disabled(
    session: AsyncSession, database: Database, delivery: Delivery
) -> None:
    deliver = DeliverWebhook(database, KeylessSender(), EndpointConcurrencyLimiter(1))
    with pytest.raises(ApplicationError):
        await run(deliver, delivery)
    await session.execute(update(WebhookEndpointRow).values(enabled=False))

    assert (await run(deliver, delivery, retries=1)).status is DeliveryStatus.CANCELLED


async def test_closing_a_delivery_makes_it_a_dead_letter(
    session: AsyncSession, deliver: DeliverWebhook, delivery: Delivery
) -> None:
    closed = await ActivityEnvironment().run(
        deliver.close_delivery, CloseInput(delivery_id=delivery.id, reason="given_up")
    )

    assert (closed, await status(session, delivery)) == (DeliveryStatus.DEAD_LETTER, "dead_letter")


class CutOffSender(ScriptedSender):
    """A database that is unavailable once the partner has responded."""

    def __init__(self, database: FailingDatabase) -> None:
        super().__init__()
        self.database = database

    async def send(self, message: Message) -> WebhookResponse:
        self.database.away = not self.sent
        return await super().send(message)


async def test_a_request_that_could_not_be_recorded_is_repeated_unchanged(
    session: AsyncSession, database: Database, delivery: Delivery
) -> None:
    failing = FailingDatabase(database)
    sender = CutOffSender(failing)
    deliver = DeliverWebhook(failing, sender, EndpointConcurrencyLimiter(1))
    with pytest.raises(StorageUnavailable):
        await run(deliver, delivery)
    failing.away = False

    assert (await run(deliver, delivery)).status is DeliveryStatus.DELIVERED

    first, second = sender.sent
    assert (first.event_id, first.body) == (second.event_id, second.body)
    attempts = await session.scalars(select(WebhookAttemptRow.n).where(WebhookAttemptRow.delivery_id == delivery.id))
    assert attempts.all() == [1]


class RacingSender(ScriptedSender):
    """A sender during whose request another attempt with the same number is recorded."""

    deliver: DeliverWebhook | None = None
    delivery: Delivery | None = None

    async def send(self, message: Message) -> WebhookResponse:
        found = await super().send(message)
        if len(self.sent) == 1:
            assert self.deliver is not None
            assert self.delivery is not None
            await run(self.deliver, self.delivery)
        return found


async def test_of_two_attempts_of_one_number_the_first_one_counts(database: Database, delivery: Delivery) -> None:
    sender = RacingSender([answer(500), answer(200)])
    sender.delivery, sender.deliver = delivery, DeliverWebhook(database, sender, EndpointConcurrencyLimiter(2))

    assert (await run(sender.deliver, delivery)).status is DeliveryStatus.DELIVERED
