"""The repository of deliveries: what a request sends, what a response changes, and the status of the event."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.errors import NotFound
from domain.sweeps import Cursor
from domain.webhooks.deliveries import Delivery, DeliveryStatus, DueAttempt, WebhookResponse
from persistence.database import create_engine
from persistence.repositories.deliveries import GIVEN_UP_AFTER
from persistence.tables import (
    AuditLogRow,
    UserRow,
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
    WebhookEventRow,
)
from persistence.unit_of_work import SqlDatabase, sessions
from tests.support.builders import an_assessment, an_organization
from tests.support.databases import settings_of
from tests.support.fakes import answer
from tests.support.partners import CIPHER, a_delivery, an_endpoint, an_event

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@dataclass
class Ledger:
    """One organization with an endpoint, and the repository's methods, each in a separate unit of work."""

    session: AsyncSession
    database: Database
    organization_id: UUID
    endpoint_id: UUID

    async def delivery(self, **columns: Any) -> Delivery:
        return await a_delivery(self.session, self.endpoint_id, self.organization_id, **columns)

    async def due(self, delivery: Delivery, attempt: int = 1, now: datetime = NOW) -> DueAttempt:
        async with self.database.statement() as uow:
            return await uow.deliveries.due(delivery.id, attempt, now)

    async def record(
        self, delivery: Delivery, attempt: int, found: WebhookResponse, wait_s: float | None = 5.0, now: datetime = NOW
    ) -> bool:
        async with self.database.statement() as uow:
            return await uow.deliveries.record(delivery.id, attempt, now, found, wait_s)

    async def close(self, delivery_id: UUID, status: DeliveryStatus) -> DeliveryStatus:
        async with self.database.statement() as uow:
            return await uow.deliveries.close(delivery_id, status, "given_up")

    async def row(self, table: Any, id_: UUID) -> Any:
        found = await self.session.execute(
            select(table).where(table.id == id_), execution_options={"populate_existing": True}
        )
        return found.scalar_one()

    async def set(self, table: Any, id_: UUID, **columns: Any) -> None:
        await self.session.execute(update(table).where(table.id == id_).values(**columns))

    async def audited(self, resource_id: UUID) -> list[tuple[str, dict[str, Any]]]:
        found = await self.session.execute(
            select(AuditLogRow.action, AuditLogRow.details).where(AuditLogRow.resource_id == resource_id)
        )
        return [(row.action, row.details) for row in found]


@pytest.fixture
async def ledger(session: AsyncSession, database: Database) -> Ledger:
    organization_id = await an_organization(session)
    endpoint_id = await an_endpoint(session, organization_id=organization_id)
    return Ledger(session, database, organization_id, endpoint_id)


async def test_a_request_sends_the_events_bytes_to_the_endpoint(ledger: Ledger) -> None:
    delivery = await ledger.delivery()
    event = await ledger.row(WebhookEventRow, delivery.event_id)
    endpoint = await ledger.row(WebhookEndpointRow, ledger.endpoint_id)

    due = await ledger.due(delivery)

    assert due.message is not None
    assert (due.status, due.attempts, due.turn_in_s, due.next_in_s) == (DeliveryStatus.PENDING, 0, 0.0, None)
    assert (due.message.event_id, due.message.url, due.message.body) == (event.id, endpoint.url, event.body)
    assert (due.message.secrets, due.message.sent_at) == ((endpoint.secret,), NOW)


async def test_a_rotated_secret_signs_until_its_end(ledger: Ledger) -> None:
    delivery = await ledger.delivery()
    old, until = CIPHER.encrypt("old"), NOW + timedelta(hours=24)
    await ledger.set(WebhookEndpointRow, ledger.endpoint_id, previous_secret=old, previous_secret_until=until)

    before = await ledger.due(delivery, now=until - timedelta(seconds=1))
    after = await ledger.due(delivery, now=until)

    assert before.message is not None
    assert after.message is not None
    assert before.message.secrets == (*after.message.secrets, old)


async def test_an_unknown_delivery_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        await ledger.due(Delivery(id=uuid4(), organization_id=uuid4(), event_id=uuid4(), endpoint_id=uuid4(), n=1))
    with pytest.raises(NotFound):
        await ledger.close(uuid4(), DeliveryStatus.CANCELLED)


async def test_nothing_is_sent_to_a_disabled_endpoint(ledger: Ledger) -> None:
    delivery = await ledger.delivery()
    await ledger.set(WebhookEndpointRow, ledger.endpoint_id, enabled=False)

    assert (await ledger.due(delivery)).message is None


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_nothing_is_sent_about_a_user_who_is_being_erased(ledger: Ledger, status: str) -> None:
    assessment = await an_assessment(ledger.session, answered=False)
    event_id = await an_event(ledger.session, ledger.organization_id, assessment_id=assessment.id)
    delivery = await ledger.delivery(event_id=event_id)
    assert (await ledger.due(delivery)).message is not None

    await ledger.set(UserRow, assessment.user_id, status=status)

    assert (await ledger.due(delivery)).message is None


async def test_a_success_ends_the_delivery(ledger: Ledger) -> None:
    delivery = await ledger.delivery()

    assert await ledger.record(delivery, 1, answer(204, excerpt="thanks", latency_ms=12))

    row = await ledger.row(WebhookDeliveryRow, delivery.id)
    assert (row.status, row.attempts, row.response_code) == ("delivered", 1, 204)
    assert (row.last_attempt_at, row.next_attempt_at) == (NOW, None)
    assert row.completed_at is not None
    attempt = (
        await ledger.session.scalars(select(WebhookAttemptRow).where(WebhookAttemptRow.delivery_id == delivery.id))
    ).one()
    assert (attempt.n, attempt.outcome, attempt.response_code) == (1, "delivered", 204)
    assert (attempt.response_excerpt, attempt.latency_ms, attempt.started_at) == ("thanks", 12, NOW)
    assert await ledger.audited(delivery.id) == []


async def test_a_failure_waits_for_its_next_attempt(ledger: Ledger) -> None:
    delivery = await ledger.delivery()

    await ledger.record(delivery, 1, answer(503), wait_s=300.0)

    row = await ledger.row(WebhookDeliveryRow, delivery.id)
    assert (row.status, row.attempts, row.response_code, row.completed_at) == ("pending", 1, 503, None)
    assert row.next_attempt_at == NOW + timedelta(minutes=5)
    due = await ledger.due(delivery, 2, NOW + timedelta(minutes=1))
    assert (due.attempts, due.code, due.next_in_s) == (1, 503, 240.0)


async def test_the_last_failure_is_a_dead_letter(ledger: Ledger) -> None:
    delivery = await ledger.delivery(attempts=9)

    await ledger.record(delivery, 10, answer(503), wait_s=None)

    row = await ledger.row(WebhookDeliveryRow, delivery.id)
    assert (row.status, row.attempts, row.next_attempt_at) == ("dead_letter", 10, None)
    assert await ledger.audited(delivery.id) == [
        ("webhook_delivery.dead_letter", {"reason": "attempts", "attempts": 10})
    ]


async def test_an_attempt_is_recorded_once(ledger: Ledger) -> None:
    delivery = await ledger.delivery()
    await ledger.record(delivery, 1, answer(503))

    assert not await ledger.record(delivery, 1, answer(200))

    row = await ledger.row(WebhookDeliveryRow, delivery.id)
    assert (row.status, row.attempts, row.response_code) == ("pending", 1, 503)


@pytest.mark.parametrize("status", ["delivered", "dead_letter", "cancelled"])
async def test_an_ended_delivery_does_not_change(ledger: Ledger, status: str) -> None:
    delivery = await ledger.delivery(status=status)

    assert not await ledger.record(delivery, 1, answer(200))

    assert (await ledger.row(WebhookDeliveryRow, delivery.id)).status == status
    assert await ledger.close(delivery.id, DeliveryStatus.DEAD_LETTER) == status


async def test_gone_disables_the_endpoint_once(ledger: Ledger) -> None:
    first, second = await ledger.delivery(), await ledger.delivery()

    await ledger.record(first, 1, answer(410))
    await ledger.record(second, 1, answer(410))

    assert not (await ledger.row(WebhookEndpointRow, ledger.endpoint_id)).enabled
    assert await ledger.audited(ledger.endpoint_id) == [
        ("webhook_endpoint.disabled", {"reason": "gone", "delivery_id": str(first.id)})
    ]
    assert (await ledger.row(WebhookDeliveryRow, first.id)).status == "dead_letter"


async def test_an_endpoint_that_fails_for_five_days_is_disabled(ledger: Ledger) -> None:
    first, second, third = [await ledger.delivery() for _ in range(3)]

    await ledger.record(first, 1, answer(500))
    await ledger.record(second, 1, answer(500), now=NOW + GIVEN_UP_AFTER - timedelta(seconds=1))
    assert (await ledger.row(WebhookEndpointRow, ledger.endpoint_id)).enabled
    await ledger.record(third, 1, answer(500), now=NOW + GIVEN_UP_AFTER)

    endpoint = await ledger.row(WebhookEndpointRow, ledger.endpoint_id)
    assert (endpoint.enabled, endpoint.failing_since) == (False, NOW)
    assert await ledger.audited(ledger.endpoint_id) == [
        ("webhook_endpoint.disabled", {"reason": "failing", "delivery_id": str(third.id)})
    ]


async def test_a_success_ends_the_failing(ledger: Ledger) -> None:
    first, second, third = [await ledger.delivery() for _ in range(3)]
    await ledger.record(first, 1, answer(500))

    await ledger.record(second, 1, answer(200), now=LATER)
    await ledger.record(third, 1, answer(500), now=NOW + GIVEN_UP_AFTER)

    endpoint = await ledger.row(WebhookEndpointRow, ledger.endpoint_id)
    assert (endpoint.enabled, endpoint.failing_since) == (True, NOW + GIVEN_UP_AFTER)


async def test_giving_up_is_a_dead_letter_without_another_attempt(ledger: Ledger) -> None:
    delivery = await ledger.delivery()
    await ledger.record(delivery, 1, answer(500))

    assert await ledger.close(delivery.id, DeliveryStatus.DEAD_LETTER) is DeliveryStatus.DEAD_LETTER

    row = await ledger.row(WebhookDeliveryRow, delivery.id)
    assert (row.status, row.attempts, row.next_attempt_at) == ("dead_letter", 1, None)
    assert await ledger.audited(delivery.id) == [
        ("webhook_delivery.dead_letter", {"reason": "given_up", "attempts": 1})
    ]


async def test_the_event_summarizes_its_deliveries(ledger: Ledger) -> None:
    other = await an_endpoint(ledger.session, organization_id=ledger.organization_id)
    first = await ledger.delivery()
    second = await a_delivery(ledger.session, other, ledger.organization_id, event_id=first.event_id)

    async def summary() -> tuple[str, int, int | None, datetime | None]:
        row = await ledger.row(WebhookEventRow, first.event_id)
        return row.status, row.attempts, row.response_code, row.last_attempt

    await ledger.record(first, 1, answer(200))
    assert await summary() == ("pending", 1, 200, NOW)
    await ledger.record(second, 1, answer(500), wait_s=None, now=LATER)
    assert await summary() == ("dead_letter", 2, 500, LATER)
    again = await a_delivery(ledger.session, other, ledger.organization_id, event_id=first.event_id, n=2)
    assert (await summary())[0] == "pending"
    await ledger.record(again, 1, answer(202), now=LATER + timedelta(hours=1))
    assert await summary() == ("delivered", 3, 202, LATER + timedelta(hours=1))


async def test_an_unsubscribed_event_is_pending_when_it_is_delivered_later(ledger: Ledger) -> None:
    event_id = await an_event(ledger.session, ledger.organization_id, status="unsubscribed")

    await ledger.delivery(event_id=event_id)

    assert (await ledger.row(WebhookEventRow, event_id)).status == "pending"


async def test_an_event_with_only_cancelled_deliveries_is_cancelled(ledger: Ledger) -> None:
    delivery = await ledger.delivery()

    await ledger.close(delivery.id, DeliveryStatus.CANCELLED)

    assert (await ledger.row(WebhookEventRow, delivery.event_id)).status == "cancelled"


async def test_overdue_ones_are_read_by_pages(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    retried = await ledger.delivery(attempts=1, next_attempt_at=now - timedelta(minutes=1))
    first, second = sorted([await ledger.delivery() for _ in range(2)], key=lambda each: each.id)
    await ledger.delivery(status="delivered")
    await ledger.delivery(created_at=now)
    await ledger.delivery(attempts=1, next_attempt_at=now + timedelta(minutes=1))

    async def page(after: Cursor | None) -> list[tuple[datetime, Delivery]]:
        async with ledger.database.statement() as uow:
            return list(await uow.deliveries.overdue(late_s=15, after=after, limit=2))

    (_, one), (at, two) = await page(None)
    ((_, three),) = await page(Cursor(id=two.id, at=at))

    assert [one, two, three] == [first, second, retried]


@pytest.fixture
async def committed(clean_database: str) -> AsyncIterator[Ledger]:
    """A database for tests that need committed rows: they use several connections or the real clock."""
    engine = create_engine(settings_of(clean_database))
    async with sessions(engine)() as session:
        organization_id = await an_organization(session)
        endpoint_id = await an_endpoint(session, organization_id=organization_id)
        await session.commit()
        yield Ledger(session, SqlDatabase(engine), organization_id, endpoint_id)
    await engine.dispose()


async def test_deliveries_that_end_together_leave_no_event_pending(committed: Ledger) -> None:
    event_id = await an_event(committed.session, committed.organization_id)
    deliveries = [
        await a_delivery(
            committed.session,
            await an_endpoint(committed.session, organization_id=committed.organization_id),
            committed.organization_id,
            event_id=event_id,
        )
        for _ in range(6)
    ]
    await committed.session.commit()

    await asyncio.gather(*(committed.record(delivery, 1, answer(200)) for delivery in deliveries))

    event = await committed.row(WebhookEventRow, event_id)
    assert (event.status, event.attempts) == ("delivered", 6)


async def test_a_rate_limit_gives_each_delivery_a_time_slot(committed: Ledger) -> None:
    await committed.set(WebhookEndpointRow, committed.endpoint_id, rate_limit_per_minute=6)
    deliveries = [await committed.delivery() for _ in range(4)]
    await committed.session.commit()

    dues = await asyncio.gather(*(committed.due(delivery) for delivery in deliveries))

    turns = sorted(due.turn_in_s for due in dues)
    assert turns[0] == 0
    assert [round(turn / 10) for turn in turns] == [0, 1, 2, 3]
    again = [await committed.due(delivery) for delivery in deliveries]
    assert all(later.turn_in_s <= first.turn_in_s for first, later in zip(dues, again, strict=True))


async def test_a_missed_time_slot_is_replaced(committed: Ledger) -> None:
    await committed.set(WebhookEndpointRow, committed.endpoint_id, rate_limit_per_minute=1)
    late, first = await committed.delivery(), await committed.delivery()
    missed = await committed.session.scalar(select(func.now() - timedelta(seconds=30)))
    await committed.set(WebhookDeliveryRow, late.id, turn_at=missed)
    await committed.session.commit()

    assert (await committed.due(first)).turn_in_s == 0
    assert (await committed.due(late)).turn_in_s > 30


async def test_a_recorded_attempt_takes_no_time_slot(committed: Ledger) -> None:
    await committed.set(WebhookEndpointRow, committed.endpoint_id, rate_limit_per_minute=1)
    recorded, other = await committed.delivery(attempts=1), await committed.delivery()
    await committed.session.commit()

    await committed.due(recorded, 1)

    assert (await committed.due(other)).turn_in_s == 0
