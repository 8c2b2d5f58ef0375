"""The admin's pages of webhooks and API keys: secrets are shown once, deliveries can be repeated."""

import html
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from persistence.tables import ApiKeyRow, WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow
from tests.api.conftest import Api, delivery_runs  # noqa: F401  # fixture
from tests.pages.admin import admin, fields_of, id_in, unique  # noqa: F401  # fixtures
from tests.pages.conftest import Browser
from tests.support.fake_engine import RecordingDeliveries

URL = "https://partner.example/hooks"
COMPLETED = {"event_types.assessment.completed": "on"}
_SECRET = re.compile(r'id="secret">([^<]+)<')

pytestmark = pytest.mark.usefixtures("admin")


def secret_in(page: str) -> str:
    found = _SECRET.search(page)
    assert found is not None, page
    return html.unescape(found[1])


async def endpoint(api: Api, browser: Browser, **fields: str) -> tuple[UUID, str]:
    """Create an endpoint by the form. Return its id and its secret."""
    url = f"{URL}/{unique('hook')}"
    page = await browser.send("/admin/webhooks/new", {"url": url, **COMPLETED, **fields})
    async with api.sessions() as session:
        found = await session.scalar(select(WebhookEndpointRow.id).where(WebhookEndpointRow.url == url))
    assert found is not None, page.text
    return found, secret_in(page.text)


async def stored(api: Api, endpoint_id: UUID) -> Any:
    async with api.sessions() as session:
        return await session.scalar(select(WebhookEndpointRow).where(WebhookEndpointRow.id == endpoint_id))


async def sessions_hold(api: Api, secret: str) -> bool:
    """Return whether any row of the sessions contains the secret."""
    async with api.sessions() as session:
        rows = await session.scalars(text("SELECT web_sessions::text FROM web_sessions"))
        return any(secret in row for row in rows)


async def test_the_secret_of_a_new_endpoint_is_shown_once(api: Api, browser: Browser) -> None:
    endpoint_id, secret = await endpoint(api, browser, rate_limit_per_minute="60")

    later = [await browser.open(path) for path in ("/admin/webhooks", f"/admin/webhooks/{endpoint_id}")]

    assert secret.startswith("whsec_")
    assert [secret in page.text for page in later] == [False, False]
    assert not await sessions_hold(api, secret)
    assert (await stored(api, endpoint_id)).rate_limit_per_minute == 60


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "http://partner.example"}, "Address: "),
        ({"url": "https://127.0.0.1/"}, "Address: "),
        ({"rate_limit_per_minute": "many"}, "Requests per minute: "),
    ],
)
async def test_a_wrong_endpoint_is_explained_and_the_form_keeps_its_values(
    browser: Browser, fields: dict[str, str], problem: str
) -> None:
    answer = await browser.send("/admin/webhooks/new", {"url": URL, **COMPLETED, **fields})

    assert (answer.status_code, problem in answer.text) == (400, True)
    assert re.search(r'name="event_types.assessment.completed" checked', answer.text)


async def test_an_endpoint_needs_an_event(browser: Browser) -> None:
    answer = await browser.send("/admin/webhooks/new", {"url": URL})

    assert (answer.status_code, "Events: " in answer.text) == (400, True)


async def test_an_endpoint_is_changed_disabled_and_deleted(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    path, url = f"/admin/webhooks/{endpoint_id}", f"{URL}/{unique('moved')}"

    await browser.send(path, {"url": url, "event_types.appeal.opened": "on"})
    await browser.send(f"{path}/enabled", {"enabled": "no"})
    changed = await stored(api, endpoint_id)
    page = (await browser.open(path)).text
    await browser.send(f"{path}/delete")

    assert (changed.url, changed.event_types, changed.enabled) == (url, ["appeal.opened"], False)
    assert "This endpoint receives nothing" in page
    assert (await browser.open(path)).status_code == 404


async def test_a_page_that_is_older_than_a_change_of_the_endpoint_does_not_undo_it(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    path = f"/admin/webhooks/{endpoint_id}"
    first, second = [await fields_of(browser, path) for _ in range(2)]
    url = f"{URL}/{unique('moved')}"

    answers = [
        await browser.send(path, first | {"url": url, "event_types.appeal.opened": "on"}),
        await browser.send(path, second | {"rate_limit_per_minute": "90"}),
    ]

    changed = await stored(api, endpoint_id)
    assert [each.status_code for each in answers] == [303, 303]
    assert (changed.url, changed.rate_limit_per_minute) == (url, 90)
    assert changed.event_types == ["assessment.completed", "appeal.opened"]


async def test_the_state_of_a_disabled_endpoint_has_the_word_of_its_button_in_german(
    browser: Browser, api: Api
) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    path = f"/admin/webhooks/{endpoint_id}"
    await browser.send(f"{path}/enabled", {"enabled": "no"})

    page = (await browser.open(path, **{"Accept-Language": "de"})).text

    assert ">Ausgeschaltet<" in page


async def test_a_new_secret_is_shown_once_and_the_old_one_still_signs(api: Api, browser: Browser) -> None:
    endpoint_id, first = await endpoint(api, browser)

    rotated = await browser.send(f"/admin/webhooks/{endpoint_id}/rotate-secret")
    page = (await browser.open(f"/admin/webhooks/{endpoint_id}")).text

    second = secret_in(rotated.text)
    assert second != first
    assert not await sessions_hold(api, second)
    assert (second in page, "The previous secret also signs until" in page) == (False, True)


async def test_reloading_the_page_of_a_secret_replaces_nothing(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    path, once = f"/admin/webhooks/{endpoint_id}", str(uuid4())

    await browser.send(f"{path}/rotate-secret", {"once": once})
    rotated = (await stored(api, endpoint_id)).secret
    again = await browser.send(f"{path}/rotate-secret", {"once": once})

    assert again.headers["Location"] == f"{path}?done=already_sent"
    assert (await stored(api, endpoint_id)).secret == rotated


@pytest.mark.parametrize("path", ["/admin/webhooks/new", "/admin/api-keys"])
async def test_reloading_a_new_secret_creates_nothing(browser: Browser, path: str) -> None:
    sent = {"url": f"{URL}/{unique('hook')}", **COMPLETED, "name": unique("LMS")}
    sent |= {"scopes.results:read": "on", "expires_in_days": "1", "once": str(uuid4())}

    answers = [await browser.send(path, sent) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 303]
    page = (await browser.open(answers[1].headers["Location"])).text
    assert page.count(f"{sent['url']}</a>") + page.count(f"{sent['name']}</th>") == 1


async def test_a_test_event_is_delivered_and_can_be_repeated(
    api: Api,
    browser: Browser,
    delivery_runs: RecordingDeliveries,  # noqa: F811
) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    sent = await browser.send(f"/admin/webhooks/{endpoint_id}/test")
    first = id_in(sent.headers["Location"])
    async with api.sessions() as session:
        await session.execute(
            update(WebhookDeliveryRow).where(WebhookDeliveryRow.id == first).values(status="dead_letter")
        )
        await session.commit()

    again = await browser.send(f"/admin/deliveries/{first}/redeliver")
    pages = [
        await browser.open(path)
        for path in (
            f"/admin/deliveries/{first}",
            f"/admin/deliveries?status=dead_letter&event_type=&endpoint_id={endpoint_id}",
        )
    ]

    assert [each.id for each in delivery_runs.started] == [first, id_in(again.headers["Location"])]
    assert all("Failed for good" in page.text for page in pages)
    assert str(first) in pages[1].text


async def test_the_page_of_an_endpoint_shows_failures_and_response_times(
    api: Api,
    browser: Browser,
    delivery_runs: RecordingDeliveries,  # noqa: F811
) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    for _ in range(5):
        await browser.send(f"/admin/webhooks/{endpoint_id}/test")
    ended = [*zip(delivery_runs.started, ["delivered"] * 3 + ["dead_letter"], [100, 200, 300, 400], strict=False)]
    async with api.sessions() as session:
        for delivery, status, latency in ended:
            this = update(WebhookDeliveryRow).where(WebhookDeliveryRow.id == delivery.id)
            await session.execute(this.values(status=status))
            for n, latency_ms in enumerate((9000, latency), 1):  # the last attempt counts
                attempt = {"n": n, "outcome": "delivered", "latency_ms": latency_ms}
                session.add(WebhookAttemptRow(id=uuid4(), delivery_id=delivery.id, **attempt))
        await session.commit()

    page = (await browser.open(f"/admin/webhooks/{endpoint_id}")).text

    assert re.findall(r"<dd>([^<]+)</dd>", page) == ["25\u00a0%", "250 ms", "400 ms"]
    assert "The newest 4 deliveries that have ended." in page
    bars = re.findall(r'class="response-times__bar( response-times__bar--failed)?".* height="([^"]+)"', page)
    assert [(bool(failed), float(height)) for failed, height in bars] == [
        (False, 14.0),
        (False, 28.0),
        (False, 42.0),
        (True, 56.0),
    ]
    assert "at most 400 ms" in page


async def test_deliveries_are_found_by_the_event_id_of_a_partners_mail(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    sent = [id_in((await browser.send(f"/admin/webhooks/{endpoint_id}/test")).headers["Location"]) for _ in range(2)]
    async with api.sessions() as session:
        event_id = await session.scalar(select(WebhookDeliveryRow.event_id).filter_by(id=sent[0]))

    found = (await browser.open(f"/admin/deliveries?event_id=%20{event_id}%20")).text
    wrong = await browser.open("/admin/deliveries?event_id=no+id")

    assert [str(each) in found for each in sent] == [True, False]
    assert (wrong.status_code, "Event id: " in wrong.text, 'value="no id"' in wrong.text) == (400, True, True)


async def test_an_endpoint_without_an_ended_delivery_has_no_figures(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)

    assert "<dd>" not in (await browser.open(f"/admin/webhooks/{endpoint_id}")).text


async def test_recovering_says_how_much_was_sent_again(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)

    answer = await browser.send(f"/admin/webhooks/{endpoint_id}/recover", {"hours": "1"})

    assert answer.headers["Location"].partition("done=")[2].startswith("recovered")


async def test_what_a_disabled_endpoint_refuses_is_explained(api: Api, browser: Browser) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    await browser.send(f"/admin/webhooks/{endpoint_id}/enabled", {"enabled": "no"})

    answer = await browser.send(f"/admin/webhooks/{endpoint_id}/test")

    assert (answer.status_code, "The webhook endpoint is disabled" in answer.text) == (409, True)


async def test_endpoints_and_deliveries_of_another_organization_do_not_exist(
    api: Api, browser: Browser, password_hash: str
) -> None:
    endpoint_id, _ = await endpoint(api, browser)
    delivery = id_in((await browser.send(f"/admin/webhooks/{endpoint_id}/test")).headers["Location"])
    await browser.send("/sign-out")
    await browser.sign_in(await api.person("admin", elsewhere=True, password_hash=password_hash))

    answers = [
        await browser.open(f"/admin/webhooks/{endpoint_id}"),
        await browser.open(f"/admin/deliveries/{delivery}"),
        await browser.send(f"/admin/webhooks/{endpoint_id}/rotate-secret"),
        await browser.send(f"/admin/deliveries/{delivery}/redeliver"),
    ]

    assert [each.status_code for each in answers] == [404] * 4


async def test_a_form_without_the_token_of_the_session_creates_no_endpoint(browser: Browser) -> None:
    url = f"{URL}/{unique('hook')}"

    answer = await browser.send("/admin/webhooks/new", {"csrf": "", "url": url, **COMPLETED})

    assert answer.status_code == 403
    assert url not in (await browser.open("/admin/webhooks")).text


async def test_an_api_key_is_shown_once_and_works(api: Api, browser: Browser) -> None:
    name = unique("LMS")
    answer = await browser.send("/admin/api-keys", {"name": name, "scopes.results:read": "on", "expires_in_days": "30"})
    key = secret_in(answer.text)

    listed = (await browser.open("/admin/api-keys")).text
    used = await api.client.get("/api/v1/roles", headers={"Authorization": f"Bearer {key}"})

    assert (used.status_code, name in listed, key in listed) == (200, True, False)
    assert not await sessions_hold(api, key)


async def test_a_revoked_key_stops_working(api: Api, browser: Browser) -> None:
    name = unique("old")
    page = await browser.send("/admin/api-keys", {"name": name, "scopes.results:read": "on", "expires_in_days": "1"})
    async with api.sessions() as session:
        key_id = await session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.name == name))

    await browser.send(f"/admin/api-keys/{key_id}/revoke")

    used = await api.client.get("/api/v1/roles", headers={"Authorization": f"Bearer {secret_in(page.text)}"})
    assert used.status_code == 401


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "Name: "),
        ({"expires_in_days": "367"}, "Days: "),
        ({"scopes.everything": "on"}, "Permissions: "),
    ],
)
async def test_a_wrong_key_is_explained_and_not_created(browser: Browser, fields: dict[str, str], problem: str) -> None:
    sent = {"name": "LMS", "scopes.results:read": "on", "expires_in_days": "30", **fields}

    answer = await browser.send("/admin/api-keys", sent)

    assert (answer.status_code, problem in answer.text) == (400, True)
    assert 'id="secret"' not in answer.text
