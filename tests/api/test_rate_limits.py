"""Rate limits and their response headers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from limits.errors import StorageError
from pydantic import ValidationError
from starlette.types import Scope

from api.app import build
from api.middleware.response_headers import HttpSettings
from api.security.client_address import TrustedProxies, parse_networks
from api.security.counters import Counters
from api.security.passwords import hash_password
from api.security.rate_limits import WIDE_LOGIN_FACTOR, RateLimits, RateLimitSettings
from tests.api.conftest import Api, Person

START = "/api/v1/assessments/start"
PASSWORD = "correct horse battery staple"
LOGIN = {"username": "nobody@demo.example", "password": "a-wrong-password"}

Limited = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def limited(api: Api) -> Limited:
    """Open a client with its own address, of an app with these limits."""

    @asynccontextmanager
    async def client(address: str = "192.0.2.1", proxies: str = "", **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = build(http=HttpSettings(trusted_proxies=proxies), limits=RateLimitSettings(**limits))
        app.state.services = api.services
        transport = httpx.ASGITransport(app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
            yield client

    return client


def test_what_is_allowed_by_default() -> None:
    settings = RateLimitSettings()
    assert (settings.writes, settings.reads, settings.login) == ("60/minute", "600/minute", "10/minute")


async def test_reads_and_writes_are_counted_apart_and_announced(limited: Limited, learner: Person) -> None:
    async with limited(reads="2/minute", writes="5/hour") as client:
        first = await client.get("/api/v1/me", headers=learner.headers)
        second = await client.get("/api/v1/roles", headers=learner.headers)
        third = await client.get("/api/v1/me", headers=learner.headers)
        write = await client.post(START, json={}, headers=learner.headers)
    assert [answer.status_code for answer in (first, second, third, write)] == [200, 200, 429, 400]
    assert first.headers["RateLimit-Policy"] == '"reads";q=2;w=60'
    assert [_left(answer) for answer in (first, second)] == ['"reads";r=1', '"reads";r=0']
    assert (write.headers["RateLimit-Policy"], _left(write)) == ('"writes";q=5;w=3600', '"writes";r=4')


async def test_the_refusal_has_the_usual_form_and_says_how_long_to_wait(limited: Limited, learner: Person) -> None:
    async with limited(reads="1/minute") as client:
        await client.get("/api/v1/me", headers=learner.headers)
        refused = await client.get("/api/v1/me", headers=learner.headers)
    assert (refused.status_code, refused.json()["error_code"]) == (429, "RATE_LIMIT_429")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"] == f'"reads";r=0;t={refused.headers["Retry-After"]}'


async def test_one_user_does_not_use_up_anothers(limited: Limited, api: Api, learner: Person) -> None:
    other = await api.person()
    async with limited(reads="1/minute") as client:
        answers = [await client.get("/api/v1/me", headers=each.headers) for each in (learner, other)]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_who_is_refused_is_counted_by_address(limited: Limited) -> None:
    forged = {"Authorization": "Bearer forged"}
    async with limited(reads="2/minute") as client:
        answers = [await client.get("/api/v1/me", headers=forged) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


async def test_a_forbidden_request_is_counted_for_its_user(limited: Limited, learner: Person) -> None:
    async with limited(reads="1/minute") as client:
        answers = [await client.get("/api/v1/webhooks/endpoints", headers=learner.headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [403, 429]


async def test_logins_are_counted_by_address(limited: Limited) -> None:
    async with limited(login="1/minute") as client:
        answers = [
            await client.post("/api/v1/auth/token", data=LOGIN | {"username": f"{number}@demo.example"})
            for number in range(WIDE_LOGIN_FACTOR + 1)
        ]
    assert [answer.status_code for answer in answers] == [*[401] * WIDE_LOGIN_FACTOR, 429]


async def test_logins_at_an_account_are_counted_by_address(limited: Limited) -> None:
    spellings = ["nobody@demo.example", "NOBODY@demo.example ", "nobody@Demo.Example"]
    async with limited(proxies="192.0.2.1", login="2/minute") as client:
        answers = [await _log_in(client, "198.51.100.1", username=spelled) for spelled in spellings]
        elsewhere = await _log_in(client, "198.51.100.2")
        other_account = await _log_in(client, "198.51.100.1", username="somebody@demo.example")
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert [elsewhere.status_code, other_account.status_code] == [401, 401]
    assert answers[0].headers["RateLimit-Policy"] == '"login";q=2;w=60'


async def test_guessing_from_many_addresses_is_bounded(limited: Limited) -> None:
    async with limited(proxies="192.0.2.1", login="1/minute") as client:
        answers = [await _log_in(client, f"198.51.100.{number}") for number in range(WIDE_LOGIN_FACTOR + 1)]
    assert [answer.status_code for answer in answers] == [*[401] * WIDE_LOGIN_FACTOR, 429]


async def test_who_guesses_elsewhere_does_not_lock_the_owner_out(limited: Limited, api: Api) -> None:
    owner = await api.person(password_hash=hash_password(PASSWORD))
    login = {"username": f"{owner.id}@example.org", "password": PASSWORD}
    async with limited(proxies="192.0.2.1", login="2/minute") as client:
        before = await _log_in(client, "203.0.113.1", **login)
        guesses = [
            await _log_in(client, f"198.51.100.{number}", username=login["username"])
            for number in range(2 * WIDE_LOGIN_FACTOR + 1)
        ]
        after = await _log_in(client, "203.0.113.1", **login)
        from_a_new_address = await _log_in(client, "203.0.113.2", **login)
    assert guesses[-1].status_code == 429
    assert [before.status_code, after.status_code, from_a_new_address.status_code] == [200, 200, 429]


async def test_what_is_no_address_is_counted_by_where_it_comes_from(limited: Limited) -> None:
    async with limited(login="1/minute") as client:
        answers = [
            await client.post("/api/v1/auth/token", data=LOGIN | {"username": "advİsor@demo.example"})
            for _ in range(WIDE_LOGIN_FACTOR + 1)
        ]
    assert [answer.status_code for answer in answers] == [*[401] * WIDE_LOGIN_FACTOR, 429]


async def test_guesses_at_ones_own_password_are_counted(limited: Limited, api: Api) -> None:
    person = await api.person(password_hash=hash_password(PASSWORD))
    body = {"current_password": "a wrong password", "new_password": "another horse battery"}
    async with limited(login="2/minute") as client:
        answers = [await client.post("/api/v1/me/password", json=body, headers=person.headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]


async def test_health_is_never_refused(limited: Limited) -> None:
    async with limited(reads="1/minute") as client:
        answers = [await client.get(path) for path in ("/healthz", "/readyz") * 2]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert not any("RateLimit" in answer.headers for answer in answers)


async def test_a_storage_that_is_away_is_replaced_by_memory(limited: Limited, learner: Person) -> None:
    class Away(Counters):
        async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
            raise StorageError(ConnectionError(f"{key}, {expiry}, {amount}"))

    async with limited() as client:
        app = client._transport.app  # type: ignore[attr-defined]
        app.state.limits = RateLimits(RateLimitSettings(reads="1/minute"), TrustedProxies(()), Away())
        answers = [await client.get("/api/v1/me", headers=learner.headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


@pytest.mark.parametrize("value", ["many", "0/minute", "60", "60/eternity", "-1/minute"])
def test_a_limit_that_cannot_be_read_stops_the_start(value: str) -> None:
    with pytest.raises(ValidationError):
        RateLimitSettings(writes=value)


def test_an_unknown_storage_stops_the_start_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_STORAGE", "ftp://somebody:secret@cache.example.org")
    with pytest.raises(ValidationError) as refused:
        RateLimitSettings()
    assert "secret" not in str(refused.value)


TRUSTED = "10.0.0.0/8, 2001:db8:ffff::/48"


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["198.51.100.7, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.1.2.3", ["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["forged"], "10.1.2.3"),
        ("10.1.2.3", ["203.0.113.9, forged"], "10.1.2.3"),
        ("10.1.2.3", ["10.4.5.6"], "10.4.5.6"),
        ("::ffff:10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8:ffff::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("not an address", ["203.0.113.9"], "unknown"),
    ],
)
def test_only_a_trusted_proxy_says_who_calls(peer: str, forwarded: list[str], caller: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope: Scope = {"type": "http", "client": (peer, 4711), "headers": headers, "scheme": "http"}
    assert TrustedProxies(parse_networks(TRUSTED)).client_address(scope) == caller


async def _log_in(client: httpx.AsyncClient, address: str, **form: str) -> httpx.Response:
    return await client.post("/api/v1/auth/token", data=LOGIN | form, headers={"X-Forwarded-For": address})


def _left(answer: httpx.Response) -> str:
    return answer.headers["RateLimit"].rpartition(";")[0]
