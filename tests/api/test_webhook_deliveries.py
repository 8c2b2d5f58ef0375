"""Test events, the delivery log, and redelivery."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from persistence.repositories.redeliveries import MAX_RECOVERED
from persistence.tables import WebhookAttemptRow, WebhookDeliveryRow
from tests.api.conftest import Api
from tests.api.partner import Partner
from tests.support.fake_engine import RecordingDeliveries

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
async def partner(api: Api) -> Partner:
    return await Partner.of(api)


@pytest.fixture
async def endpoint_id(partner: Partner) -> str:
    return str((await partner.register())["endpoint_id"])


async def test_a_test_event_goes_to_the_endpoint_tested_and_no_other(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    await partner.register()

    answer = await partner.call("POST", f"/endpoints/{endpoint_id}/test")

    assert answer.status_code == 202
    (delivery,) = (await partner.get("/deliveries"))["items"]
    assert (delivery["event_type"], delivery["status"], delivery["attempts"]) == ("webhook.test", "pending", 0)
    assert {name: delivery[name] for name in answer.json()} == answer.json()
    assert [str(each.id) for each in delivery_runs.started] == [delivery["delivery_id"]]
    body = json.loads((await partner.get(f"/deliveries/{delivery['delivery_id']}"))["body"])
    assert (body["type"], body["version"], body["data"]) == ("webhook.test", 1, {"endpoint_id": endpoint_id})


async def test_an_engine_that_is_away_changes_no_answer(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    delivery_runs.down = True
    await partner.events(endpoint_id, "dead_letter")
    (delivery,) = await partner.deliveries(endpoint_id)

    answers = [
        await partner.call("POST", f"/endpoints/{endpoint_id}/test"),
        await partner.call("POST", f"/deliveries/{delivery['delivery_id']}/redeliver"),
        await partner.call("POST", f"/deliveries/{delivery['delivery_id']}/redeliver"),
        await partner.call("POST", f"/endpoints/{endpoint_id}/recover", {"since": LONG_AGO}),
    ]

    assert [answer.status_code for answer in answers] == [202] * 4
    assert len(await partner.deliveries(endpoint_id, status="pending")) == 2


async def test_a_pending_delivery_is_told_to_hurry(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    await partner.events(endpoint_id, "pending")
    (delivery,) = await partner.deliveries(endpoint_id)

    answer = await partner.call("POST", f"/deliveries/{delivery['delivery_id']}/redeliver")

    assert (answer.status_code, answer.json()["delivery_id"]) == (202, delivery["delivery_id"])
    assert ([str(each.id) for each in delivery_runs.hurried], delivery_runs.started) == ([delivery["delivery_id"]], [])
    assert len(await partner.deliveries(endpoint_id)) == 1


@pytest.mark.parametrize("status", ["delivered", "dead_letter", "cancelled"])
async def test_an_event_whose_delivery_has_ended_is_delivered_anew(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries, status: str
) -> None:
    (event_id,) = await partner.events(endpoint_id, status)
    (first,) = await partner.deliveries(endpoint_id)

    answer = await partner.call("POST", f"/deliveries/{first['delivery_id']}/redeliver")

    assert (answer.status_code, answer.json()["n"], answer.json()["event_id"]) == (202, 2, str(event_id))
    assert [str(each.id) for each in delivery_runs.started] == [answer.json()["delivery_id"]] != [first["delivery_id"]]
    assert {each["n"]: each["status"] for each in await partner.deliveries(endpoint_id)} == {1: status, 2: "pending"}
    assert await partner.event_status(event_id) == "pending"


async def test_any_earlier_delivery_stands_for_its_event(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    await partner.events(endpoint_id, "dead_letter")
    (first,) = await partner.deliveries(endpoint_id)
    path = f"/deliveries/{first['delivery_id']}/redeliver"

    second, again = [(await partner.call("POST", path)).json() for _ in range(2)]

    assert second == again
    assert [each.n for each in delivery_runs.started + delivery_runs.hurried] == [2, 2]


async def test_two_redeliveries_at_once_make_one_delivery(partner: Partner, endpoint_id: str) -> None:
    await partner.events(endpoint_id, "dead_letter")
    (first,) = await partner.deliveries(endpoint_id)

    path = f"/deliveries/{first['delivery_id']}/redeliver"
    answers = await asyncio.gather(*(partner.call("POST", path) for _ in range(5)))

    assert [answer.status_code for answer in answers] == [202] * 5
    assert len(await partner.deliveries(endpoint_id)) == 2


async def test_nothing_is_sent_to_an_endpoint_that_is_disabled(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    await partner.events(endpoint_id, "dead_letter")
    (delivery,) = await partner.deliveries(endpoint_id)
    await partner.change(endpoint_id, enabled=False)

    answers = [
        await partner.call("POST", f"/endpoints/{endpoint_id}/test"),
        await partner.call("POST", f"/deliveries/{delivery['delivery_id']}/redeliver"),
        await partner.call("POST", f"/endpoints/{endpoint_id}/recover", {"since": LONG_AGO}),
    ]

    assert [(each.status_code, each.json()["error_code"]) for each in answers] == [(409, "CONFLICT_409")] * 3
    assert await partner.deliveries(endpoint_id) == [delivery]
    assert delivery_runs.started == []


async def test_what_was_sent_to_a_deleted_endpoint_cannot_be_sent_again(partner: Partner, endpoint_id: str) -> None:
    await partner.events(endpoint_id, "delivered")
    (delivery,) = await partner.deliveries(endpoint_id)
    await partner.call("DELETE", f"/endpoints/{endpoint_id}")

    answer = await partner.call("POST", f"/deliveries/{delivery['delivery_id']}/redeliver")

    assert answer.status_code == 409
    assert await partner.deliveries(endpoint_id) == [delivery]


async def test_recovering_delivers_whatever_did_not_arrive(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    events = await partner.events(endpoint_id, "delivered", "dead_letter", "pending", "cancelled", None)

    answer = await partner.call("POST", f"/endpoints/{endpoint_id}/recover", {"since": LONG_AGO})

    assert (answer.status_code, answer.json()) == (202, {"redelivered": 3, "more": False})
    assert [(each.event_id, each.n) for each in delivery_runs.started] == [
        (events[1], 2),
        (events[3], 2),
        (events[4], 1),
    ]
    assert len(await partner.deliveries(endpoint_id, status="pending")) == 4


async def test_recovering_twice_sends_nothing_twice(partner: Partner, endpoint_id: str) -> None:
    await partner.events(endpoint_id, "dead_letter", None)
    path = f"/endpoints/{endpoint_id}/recover"

    answers = await asyncio.gather(*(partner.call("POST", path, {"since": LONG_AGO}) for _ in range(3)))

    assert sorted(answer.json()["redelivered"] for answer in answers) == [0, 0, 2]
    assert len(await partner.deliveries(endpoint_id)) == 3


async def test_an_event_that_arrived_once_is_not_recovered(partner: Partner, endpoint_id: str) -> None:
    await partner.events(endpoint_id, "delivered")
    (delivery,) = await partner.deliveries(endpoint_id)
    await partner.call("POST", f"/deliveries/{delivery['delivery_id']}/redeliver")
    async with partner.api.sessions() as session:
        again = update(WebhookDeliveryRow).where(WebhookDeliveryRow.endpoint_id == UUID(endpoint_id))
        await session.execute(again.where(WebhookDeliveryRow.n == 2).values(status="dead_letter"))
        await session.commit()

    answer = await partner.call("POST", f"/endpoints/{endpoint_id}/recover", {"since": LONG_AGO})

    assert answer.json()["redelivered"] == 0


async def test_recovering_keeps_to_the_time_the_types_and_the_organization(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries, api: Api
) -> None:
    await partner.events(endpoint_id, "dead_letter", minutes_ago=60)
    (wanted,) = await partner.events(endpoint_id, "dead_letter", minutes_ago=30)
    await partner.events(endpoint_id, "dead_letter", minutes_ago=10)
    await partner.events(endpoint_id, "dead_letter", None, minutes_ago=30, event_type="assessment.updated")
    await partner.events(endpoint_id, "dead_letter", minutes_ago=30, event_type="webhook.test")
    await (await Partner.of(api)).events(None, None, minutes_ago=30)
    now = datetime.now(UTC)

    since, until = [(now - timedelta(minutes=minutes)).isoformat() for minutes in (40, 20)]
    await partner.call("POST", f"/endpoints/{endpoint_id}/recover", {"since": since, "until": until})

    assert [each.event_id for each in delivery_runs.started] == [wanted]


async def test_a_call_recovers_a_bounded_number_and_the_next_one_the_rest(
    partner: Partner, endpoint_id: str, delivery_runs: RecordingDeliveries
) -> None:
    events = await partner.events(endpoint_id, *["dead_letter", None] * (MAX_RECOVERED // 2), None, minutes_ago=60)
    path = f"/endpoints/{endpoint_id}/recover"

    answers = [(await partner.call("POST", path, {"since": LONG_AGO})).json() for _ in range(2)]

    assert answers == [{"redelivered": MAX_RECOVERED, "more": True}, {"redelivered": 1, "more": False}]
    assert [each.event_id for each in delivery_runs.started] == events


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"since": "2026-01-01"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"since": 1767261600}, "since"),
        ({"since": LONG_AGO, "until": LONG_AGO}, "until"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:30:00+01:00"}, "until"),
        ({"since": LONG_AGO, "limit": 5}, "body"),
    ],
    ids=str,
)
async def test_an_invalid_time_to_recover_from_is_refused(
    partner: Partner, endpoint_id: str, body: Any, field: str
) -> None:
    answer = await partner.call("POST", f"/endpoints/{endpoint_id}/recover", body)

    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)


async def test_the_log_keeps_to_its_filters(partner: Partner, endpoint_id: str) -> None:
    other = (await partner.register())["endpoint_id"]
    await partner.events(endpoint_id, "delivered", "dead_letter")
    await partner.events(endpoint_id, "delivered", event_type="assessment.failed")
    await partner.events(other, "delivered")

    async def found(**query: str) -> int:
        return len((await partner.get("/deliveries", **query))["items"])

    assert await found() == 4
    assert await found(endpoint_id=endpoint_id) == 3
    assert await found(endpoint_id=endpoint_id, status="delivered") == 2
    assert await found(event_type="assessment.failed") == 1
    assert await found(since=LONG_AGO) == 4
    assert await found(since="2999-01-01T00:00:00+01:00") == 0
    assert await found(endpoint_id=str(uuid4())) == 0


async def test_pages_of_the_log_follow_the_cursor_while_new_deliveries_arrive(
    partner: Partner, endpoint_id: str
) -> None:
    await partner.events(endpoint_id, *["delivered"] * 5)
    before = [each["delivery_id"] for each in await partner.deliveries(endpoint_id)]

    page = await partner.get("/deliveries", limit="2")
    listed = [each["delivery_id"] for each in page["items"]]
    await partner.events(endpoint_id, "delivered")
    while cursor := page.get("next_cursor"):
        page = await partner.get("/deliveries", limit="2", cursor=cursor)
        listed += [each["delivery_id"] for each in page["items"]]

    assert listed == before
    assert len(set(listed)) == 5


@pytest.mark.parametrize(
    "query",
    [
        {"status": "open"},
        {"event_type": "assessment.started"},
        {"endpoint_id": "1"},
        {"since": "yesterday"},
        {"limit": "0"},
        {"limit": "101"},
        {"cursor": "x"},
        {"organization_id": str(uuid4())},
    ],
    ids=lambda query: next(iter(query)),
)
async def test_an_invalid_filter_is_rejected(partner: Partner, query: dict[str, str]) -> None:
    answer = await partner.call("GET", "/deliveries", **query)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


async def test_a_delivery_shows_each_attempt_in_order_and_the_bytes_sent(partner: Partner, endpoint_id: str) -> None:
    await partner.events(endpoint_id, "delivered")
    (delivery,) = await partner.deliveries(endpoint_id)
    async with partner.api.sessions() as session:
        made: dict[str, Any] = {"delivery_id": UUID(delivery["delivery_id"]), "latency_ms": 12}
        refused = {"n": 1, "outcome": "refused", "response_code": 503, "response_excerpt": "Try later"}
        accepted = {"n": 2, "outcome": "delivered", "response_code": 204, "response_excerpt": None}
        await session.execute(
            insert(WebhookAttemptRow), [{"id": uuid4()} | made | each for each in (accepted, refused)]
        )
        await session.commit()

    shown = await partner.get(f"/deliveries/{delivery['delivery_id']}")

    assert {name: shown[name] for name in delivery} == delivery
    assert shown["body"] == '{"what": "an event"}'
    first, second = shown["attempt_log"]
    assert (first["n"], first["response_code"], first["response_excerpt"]) == (1, 503, "Try later")
    assert (second["n"], second["outcome"], second["latency_ms"]) == (2, "delivered", 12)
    assert "response_excerpt" not in second


async def test_no_one_elses_deliveries_are_listed(partner: Partner, endpoint_id: str, api: Api) -> None:
    await partner.events(endpoint_id, "delivered")
    stranger = await Partner.of(api)

    assert (await stranger.get("/deliveries"))["items"] == []
    assert (await stranger.get("/deliveries", endpoint_id=endpoint_id))["items"] == []
    assert (await stranger.get("/endpoints"))["items"] == []
