"""Creating, changing and deleting webhook endpoints, and their secrets."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import structlog
from sqlalchemy import insert, update

from persistence.repositories.endpoints import MAX_ENDPOINTS
from persistence.tables import WebhookEndpointRow
from tests.api.conftest import CIPHER, Api
from tests.api.partner import TYPES, URL, Partner
from tests.support.fake_engine import RecordingDeliveries


@pytest.fixture
async def partner(api: Api) -> Partner:
    return await Partner.of(api)


def wanted(**fields: Any) -> dict[str, Any]:
    return {"url": URL, "event_types": TYPES} | fields


async def test_a_registered_endpoint_can_be_read(partner: Partner) -> None:
    made = await partner.register(rate_limit_per_minute=30, enabled=False)

    secret = made.pop("secret")
    assert made == await partner.get(f"/endpoints/{made['endpoint_id']}")
    assert (await partner.get("/endpoints"))["items"] == [made]
    assert (made["url"], made["event_types"], made["enabled"], made["rate_limit_per_minute"]) == (URL, TYPES, False, 30)
    assert secret.startswith("whsec_")


async def test_a_secret_has_enough_random_bytes_and_is_unique(partner: Partner) -> None:
    secrets = {(await partner.register())["secret"] for _ in range(3)}

    assert len(secrets) == 3
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 24 for secret in secrets)


async def test_a_secret_is_stored_sealed(partner: Partner) -> None:
    made = await partner.register()

    stored = (await partner.endpoint_row(made["endpoint_id"])).secret

    assert CIPHER.decrypt(stored) == made["secret"]
    assert made["secret"].removeprefix("whsec_").encode() not in stored


async def test_an_answer_with_a_secret_is_not_to_be_cached(partner: Partner) -> None:
    registered = await partner.call("POST", "/endpoints", wanted())
    rotated = await partner.call("POST", f"/endpoints/{registered.json()['endpoint_id']}/rotate-secret")

    assert [answer.headers["Cache-Control"] for answer in (registered, rotated)] == ["no-store", "no-store"]


async def test_secrets_and_addresses_are_shown_nowhere_else(
    partner: Partner, delivery_runs: RecordingDeliveries
) -> None:
    delivery_runs.down = True
    with structlog.testing.capture_logs() as lines:
        made = await partner.register()
        path = f"/endpoints/{made['endpoint_id']}"
        rotated = (await partner.call("POST", f"{path}/rotate-secret")).json()
        others = [
            await partner.call("GET", "/endpoints"),
            await partner.call("GET", path),
            await partner.call("PATCH", path, {"url": f"{URL}&again=1", "rate_limit_per_minute": 9}),
            tested := await partner.call("POST", f"{path}/test"),
            await partner.call("GET", "/deliveries"),
            await partner.call("GET", f"/deliveries/{tested.json()['delivery_id']}"),
            await partner.call("DELETE", path),
        ]
    audited = str(await partner.audited(made["endpoint_id"]))
    assert lines
    for secret in (made["secret"], rotated["secret"]):
        assert secret.removeprefix("whsec_") not in str([each.text for each in others]) + audited + str(lines)
    assert "partner.example" not in audited + str(lines)


async def test_every_act_leaves_its_audit_row(partner: Partner, delivery_runs: RecordingDeliveries) -> None:
    endpoint_id = (await partner.register())["endpoint_id"]
    path = f"/endpoints/{endpoint_id}"
    await partner.change(endpoint_id, rate_limit_per_minute=5, event_types=TYPES[:1])
    await partner.change(endpoint_id, enabled=False)
    await partner.change(endpoint_id, enabled=True)
    await partner.call("POST", f"{path}/rotate-secret")
    await partner.call("POST", f"{path}/test")
    await partner.call("POST", f"{path}/recover", {"since": "2026-01-01T00:00:00Z"})
    await partner.call("POST", f"/deliveries/{delivery_runs.started[0].id}/redeliver")
    await partner.call("DELETE", path)

    audited = await partner.audited(endpoint_id)

    event_id = str(delivery_runs.started[0].event_id)
    assert [(row.action, row.metadata) for row in audited] == [
        ("webhook_endpoint.created", {"event_types": TYPES}),
        ("webhook_endpoint.changed", {"fields": ["event_types", "rate_limit_per_minute"]}),
        ("webhook_endpoint.disabled", {"fields": ["enabled"]}),
        ("webhook_endpoint.enabled", {"fields": ["enabled"]}),
        ("webhook_endpoint.secret_rotated", None),
        ("webhook_endpoint.tested", {"event_id": event_id}),
        ("webhook_endpoint.recovered", {"since": "2026-01-01T00:00:00Z", "until": None, "events": 0}),
        ("webhook_endpoint.redelivered", {"event_id": event_id, "n": 1}),
        ("webhook_endpoint.deleted", {"cancelled": 1}),
    ]
    assert {row.actor_id for row in audited} == {partner.admin.id}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"event_types": TYPES}, "url"),
        ({"url": URL}, "event_types"),
        (wanted(url=7), "url"),
        (wanted(url=None), "url"),
        (wanted(url="https://partner.example/" + "x" * 2048), "url"),
        (wanted(event_types=[]), "event_types"),
        (wanted(event_types="assessment.completed"), "event_types"),
        (wanted(event_types=["assessment.started"]), "event_types.0"),
        (wanted(event_types=["webhook.test"]), "event_types.0"),
        (wanted(event_types=["assessment.failed"] * 2), "event_types"),
        (wanted(enabled="true"), "enabled"),
        (wanted(enabled=1), "enabled"),
        (wanted(rate_limit_per_minute=0), "rate_limit_per_minute"),
        (wanted(rate_limit_per_minute=1.0), "rate_limit_per_minute"),
        (wanted(rate_limit_per_minute=10**9), "rate_limit_per_minute"),
        (wanted(secret="whsec_bXkgb3duIHNlY3JldCwgbXkgb3duIHNlY3JldCE="), "body"),
        (wanted(organization_id=str(uuid4())), "body"),
        ([], "body"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_an_invalid_endpoint_is_refused_by_field(partner: Partner, body: Any, field: str) -> None:
    answer = await partner.call("POST", "/endpoints", body)

    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)
    assert (await partner.get("/endpoints"))["items"] == []


UNCALLABLE = [
    "http://partner.example/",
    "https://partner.example:8443/",
    "https://user:password@partner.example/",
    "https://127.0.0.1/",
    "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data",
    "https://2130706433/",
    "https://localhost/",
    "https://api.example.org/",
    "ftp://partner.example/",
    "partner.example",
    "",
]


@pytest.mark.parametrize("url", UNCALLABLE)
async def test_an_address_that_must_not_be_called_is_refused(partner: Partner, url: str) -> None:
    endpoint_id = (await partner.register())["endpoint_id"]

    answers = [
        await partner.call("POST", "/endpoints", wanted(url=url)),
        await partner.call("PATCH", f"/endpoints/{endpoint_id}", {"url": url}),
    ]

    assert [(each.status_code, each.json()["details"][0]["field"]) for each in answers] == [(400, "url")] * 2
    assert [each["url"] for each in (await partner.get("/endpoints"))["items"]] == [URL]


async def test_a_change_leaves_what_it_does_not_name(partner: Partner) -> None:
    made = await partner.register(rate_limit_per_minute=30)

    changed = await partner.change(made["endpoint_id"], event_types=["assessment.updated"])

    same = ("endpoint_id", "url", "enabled", "rate_limit_per_minute", "created_at")
    assert {name: changed[name] for name in same} == {name: made[name] for name in same}
    assert changed["event_types"] == ["assessment.updated"]
    assert changed == await partner.get(f"/endpoints/{made['endpoint_id']}")


async def test_a_rate_limit_can_be_taken_away(partner: Partner) -> None:
    made = await partner.register(rate_limit_per_minute=30)

    changed = await partner.change(made["endpoint_id"], rate_limit_per_minute=None)

    assert "rate_limit_per_minute" not in changed


async def test_a_change_to_what_is_there_changes_nothing(partner: Partner) -> None:
    made = await partner.register()

    same = await partner.change(made["endpoint_id"], url=URL, enabled=True)

    assert same["updated_at"] == made["updated_at"]
    assert len(await partner.audited(made["endpoint_id"])) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"url": None}, "url"),
        ({"enabled": None}, "enabled"),
        ({"event_types": None}, "event_types"),
        ({"event_types": []}, "event_types"),
        ({"rate_limit_per_minute": "7"}, "rate_limit_per_minute"),
        ({"secret": "whsec_AAAA"}, "body"),
        ({"failing_since": None}, "body"),
    ],
    ids=str,
)
async def test_an_invalid_change_is_refused_by_field(partner: Partner, body: Any, field: str) -> None:
    made = await partner.register()

    answer = await partner.call("PATCH", f"/endpoints/{made['endpoint_id']}", body)

    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("change", "forgotten"),
    [({"enabled": True}, True), ({"url": "https://new.example/"}, True), ({"rate_limit_per_minute": 5}, False)],
    ids=str,
)
async def test_a_fresh_start_forgets_failures(partner: Partner, change: dict[str, Any], *, forgotten: bool) -> None:
    made = await partner.register(enabled=False)
    async with partner.api.sessions() as session:
        failing = update(WebhookEndpointRow).where(WebhookEndpointRow.id == made["endpoint_id"])
        await session.execute(failing.values(failing_since=datetime.now(UTC) - timedelta(days=6)))
        await session.commit()

    changed = await partner.change(made["endpoint_id"], **change)

    assert ("failing_since" not in changed) is forgotten


async def test_a_replaced_secret_signs_for_another_day(partner: Partner) -> None:
    made = await partner.register()

    rotated = (await partner.call("POST", f"/endpoints/{made['endpoint_id']}/rotate-secret")).json()

    row = await partner.endpoint_row(made["endpoint_id"])
    assert (CIPHER.decrypt(row.secret), CIPHER.decrypt(row.previous_secret)) == (rotated["secret"], made["secret"])
    assert abs(row.previous_secret_until - row.updated_at - timedelta(hours=24)) < timedelta(seconds=1)
    assert datetime.fromisoformat(rotated["previous_secret_until"]) == row.previous_secret_until
    assert rotated["secret"] != made["secret"]


async def test_only_the_last_two_secrets_sign(partner: Partner) -> None:
    first = await partner.register()
    path = f"/endpoints/{first['endpoint_id']}/rotate-secret"

    second, third = [(await partner.call("POST", path)).json() for _ in range(2)]

    row = await partner.endpoint_row(first["endpoint_id"])
    assert (CIPHER.decrypt(row.secret), CIPHER.decrypt(row.previous_secret)) == (third["secret"], second["secret"])


async def test_a_deleted_endpoint_is_not_found(partner: Partner) -> None:
    path = f"/endpoints/{(await partner.register())['endpoint_id']}"

    assert (await partner.call("DELETE", path)).status_code == 204

    answers = [
        await partner.call("GET", path),
        await partner.call("PATCH", path, {"enabled": True}),
        await partner.call("DELETE", path),
        await partner.call("POST", f"{path}/test"),
        await partner.call("POST", f"{path}/rotate-secret"),
        await partner.call("POST", f"{path}/recover", {"since": "2026-01-01T00:00:00Z"}),
    ]
    assert [each.status_code for each in answers] == [404] * 6
    assert (await partner.get("/endpoints"))["items"] == []


async def test_deleting_erases_the_secrets_cancels_what_is_pending_and_keeps_the_log(partner: Partner) -> None:
    endpoint_id = (await partner.register())["endpoint_id"]
    await partner.call("POST", f"/endpoints/{endpoint_id}/rotate-secret")
    events = await partner.events(endpoint_id, "pending", "delivered", "dead_letter")

    await partner.call("DELETE", f"/endpoints/{endpoint_id}")

    row = await partner.endpoint_row(endpoint_id)
    assert (row.secret, row.previous_secret, row.enabled) == (b"", None, False)
    log = await partner.deliveries(endpoint_id)
    assert sorted(each["status"] for each in log) == ["cancelled", "dead_letter", "delivered"]
    assert await partner.event_status(events[0]) == "cancelled"


async def test_an_organization_has_a_bounded_number_of_endpoints(partner: Partner) -> None:
    column = {"organization_id": partner.id, "url": URL, "event_types": TYPES, "secret": b""}
    async with partner.api.sessions() as session:
        rows = [column | {"id": uuid4()} for _ in range(MAX_ENDPOINTS - 1)]
        await session.execute(insert(WebhookEndpointRow), rows)
        await session.commit()

    answers = await asyncio.gather(*(partner.call("POST", "/endpoints", wanted()) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    await partner.call("DELETE", f"/endpoints/{rows[0]['id']}")
    assert (await partner.call("POST", "/endpoints", wanted())).status_code == 201


async def test_an_event_goes_to_enabled_endpoints_that_subscribe_to_it(partner: Partner) -> None:
    subscribed = await partner.register()
    others = [
        await partner.register(event_types=["assessment.failed"]),
        await partner.register(enabled=False),
        await partner.register(),
    ]
    await partner.call("DELETE", f"/endpoints/{others[-1]['endpoint_id']}")

    publication = await partner.api.completed(await partner.learner())

    (delivery,) = (await partner.get("/deliveries"))["items"]
    assert (delivery["endpoint_id"], delivery["event_type"]) == (subscribed["endpoint_id"], "assessment.completed")
    body = (await partner.get(f"/deliveries/{delivery['delivery_id']}"))["body"]
    assert str(publication.assessment_id) in body
