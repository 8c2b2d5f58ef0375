"""Recovering the events of a long period reads a limited number of them in each statement."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.webhooks.deliveries import DeliveryStatus
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import redeliveries
from persistence.repositories.redeliveries import Recovered, Redeliveries
from tests.persistence.plans import explained, handled, nodes
from tests.support.builders import a_user, an_organization
from tests.support.partners import a_delivery, an_endpoint, an_event
from tests.support.statements import Statements, recorded

SINCE = datetime(2026, 2, 1, tzinfo=UTC)
EVENTS, PAGE = 60, 10


async def recovered(
    engine: AsyncEngine, statuses: Sequence[DeliveryStatus | None]
) -> tuple[list[UUID], Recovered, Statements]:
    """Recover a period with one event per status, at the same time in pairs. None: an event without a delivery."""
    async with AsyncSession(engine) as session:
        organization_id = await an_organization(session)
        admin = Actor(id=await a_user(session, organization_id, role="admin"), role="admin")
        endpoint_id = await an_endpoint(session, organization_id=organization_id)
        events: list[UUID] = []
        for number, status in enumerate(statuses):
            at = SINCE + timedelta(seconds=number // 2)
            events.append(await an_event(session, organization_id, created_at=at))
            if status is not None:
                await a_delivery(session, endpoint_id, organization_id, event_id=events[-1], status=status.value)
        await session.commit()
        with recorded(engine) as sent:
            found = await Redeliveries(session).recover(
                endpoint_id, AccessScope(organization_id=organization_id), admin, since=SINCE, until=None
            )
    return events, found, [each for each in sent if "webhook_events" in each[0] and each[0].startswith("\nWITH")]


async def read(engine: AsyncEngine, sent: Statements) -> list[float]:
    """Return the number of events that each statement read."""
    plans = [await explained(engine, *each, large=True) for each in sent]
    return [
        sum(handled(each) for each in nodes(plan) if each.get("Relation Name") == "webhook_events") for plan in plans
    ]


async def test_each_statement_reads_a_page_of_events(
    clean_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redeliveries, "PAGE", PAGE)
    statuses = [DeliveryStatus.DELIVERED] * EVENTS
    statuses[-1] = DeliveryStatus.DEAD_LETTER

    _, found, sent = await recovered(clean_engine, statuses)

    assert len(await read(clean_engine, sent)) >= EVENTS // PAGE
    assert max(await read(clean_engine, sent)) <= PAGE
    assert len(found.deliveries) == 1
    assert found.deliveries[0].n == 2
    assert not found.more


async def test_no_page_is_read_after_the_last_event_that_one_call_recovers(
    clean_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redeliveries, "PAGE", PAGE)
    monkeypatch.setattr(redeliveries, "MAX_RECOVERED", PAGE + 2)

    events, found, sent = await recovered(clean_engine, [None] * EVENTS)

    assert await read(clean_engine, sent) == [PAGE, PAGE]
    assert len({each.event_id for each in found.deliveries} & set(events[: PAGE + 2])) >= PAGE + 1
    assert (len(found.deliveries), found.more) == (PAGE + 2, True)


@pytest.mark.parametrize("page", [1, 7, 100])
async def test_the_size_of_a_page_does_not_change_what_is_recovered(
    clean_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(redeliveries, "PAGE", page)
    missed = (None, DeliveryStatus.DEAD_LETTER, DeliveryStatus.CANCELLED)
    statuses = [*missed, DeliveryStatus.PENDING, DeliveryStatus.DELIVERED] * 4

    events, found, _ = await recovered(clean_engine, statuses)

    wanted = {event for event, status in zip(events, statuses, strict=True) if status in missed}
    assert {each.event_id for each in found.deliveries} == wanted
    assert not found.more
