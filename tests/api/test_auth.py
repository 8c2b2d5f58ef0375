"""The validation of access tokens."""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from api.security.principals import TTL_S, Principals
from api.security.tokens import ALGORITHM, AUDIENCE, ISSUER, Principal, Tokens, UserRole, key_id
from domain.errors import Unauthenticated
from persistence.tables import UserRow
from tests.api.conftest import SECRET, Api, Person


def _claims(person: Person, **changes: Any) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "sub": str(person.id),
        "role": "student",
        "org": str(person.principal.organization_id),
        "ver": 0,
        "iat": now,
        "exp": now + 600,
        "iss": ISSUER,
        "aud": AUDIENCE,
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = ALGORITHM, **headers: Any) -> str:
    return jwt.encode(claims, secret, algorithm, headers={"kid": key_id(SECRET)} | headers)


async def test_right_claims_are_accepted(api: Api, learner: Person) -> None:
    assert await _me(api, f"Bearer {_signed(_claims(learner))}") == 200


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("exp", "iat", "aud", "iss", "sub", "role", "org", "ver")),
        {"exp": 1e308},
        {"exp": float("inf")},
        {"exp": 99_999_999_999},
        {"exp": "9999999999"},
        {"exp": 1},
        {"exp": True},
        {"iat": 99_999_999_999},
        {"iat": 10**400},
        {"exp": 10**400},
        {"nbf": 99_999_999_999},
        {"aud": "another"},
        {"aud": [AUDIENCE]},
        {"iss": "another"},
        {"role": "admin"},
        {"role": "owner"},
        {"role": 1},
        {"org": "platform"},
        {"org": 7},
        {"sub": "somebody"},
        {"ver": 1},
        {"ver": "x"},
        {"ver": "0"},
        {"ver": 0.9},
        {"ver": False},
    ],
    ids=str,
)
async def test_wrong_claims_are_rejected(api: Api, learner: Person, changes: dict[str, Any]) -> None:
    assert await _me(api, f"Bearer {_signed(_claims(learner, **changes))}") == 401


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead_s", "status"), [(1, 200), (25, 200), (120, 401)])
async def test_clocks_may_be_half_a_minute_apart(
    api: Api, learner: Person, claim: str, ahead_s: int, status: int
) -> None:
    now = int(datetime.now(UTC).timestamp())
    assert await _me(api, f"Bearer {_signed(_claims(learner, **{claim: now + ahead_s}))}") == status


async def test_the_clock_leeway_does_not_extend_a_token(api: Api, learner: Person) -> None:
    now = int(datetime.now(UTC).timestamp())
    assert await _me(api, f"Bearer {_signed(_claims(learner, iat=now - 60, exp=now - 1))}") == 401


@pytest.mark.parametrize("spelled", ["{{{}}}", "urn:uuid:{}", "{} "])
@pytest.mark.parametrize("claim", ["sub", "org"])
async def test_another_spelling_of_an_id_is_refused(api: Api, learner: Person, claim: str, spelled: str) -> None:
    claims = _claims(learner)
    assert await _me(api, f"Bearer {_signed(claims | {claim: spelled.format(claims[claim])})}") == 401
    assert await _me(api, f"Bearer {_signed(claims | {claim: claims[claim].upper()})}") == 401


async def test_other_keys_and_algorithms_are_refused(api: Api, learner: Person) -> None:
    claims = _claims(learner)
    forged = [
        _signed(claims, secret="another-secret-of-at-least-32-bytes!!"),
        _signed(claims, secret=SECRET * 2, algorithm="HS512"),
        _signed(claims, secret="", algorithm="none"),
        _signed(claims) + "x",
        _signed(claims, kid="another"),
        jwt.encode(claims, SECRET, ALGORITHM),
        _signed(claims, crit=["exp"]),
    ]
    assert [await _me(api, f"Bearer {token}") for token in forged] == [401] * 7


async def test_a_key_in_the_token_header_is_ignored(api: Api, learner: Person) -> None:
    secret = "a-key-of-the-forger-of-32-bytes-or-more"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
    headers: dict[str, Any] = {"jwk": jwk, "jku": "https://forger.example/jwks", "x5u": "https://forger.example/x5u"}
    assert await _me(api, f"Bearer {_signed(_claims(learner), secret, **headers)}") == 401
    assert await _me(api, f"Bearer {_signed(_claims(learner), **headers)}") == 200


def test_a_new_key_signs_and_the_one_before_it_still_counts() -> None:
    old, new = (f"a-key-of-32-bytes-or-more-for-tests-{number}" for number in range(2))
    principal = Principal(user_id=_ID, role=UserRole.STUDENT, organization_id=_ID, version=0)
    before, both, after = (_tokens(secret) for secret in (old, f"{new}, {old}", new))

    assert both.read(before.issue(principal)) == principal
    assert after.read(both.issue(principal)) == principal
    with pytest.raises(Unauthenticated):
        after.read(before.issue(principal))


def test_the_header_names_the_key_and_shows_nothing_of_it() -> None:
    principal = Principal(user_id=_ID, role=UserRole.STUDENT, organization_id=_ID, version=0)
    kid = jwt.get_unverified_header(_tokens(SECRET).issue(principal))["kid"]
    assert kid == key_id(SECRET) != key_id(SECRET + "x")
    assert kid not in SECRET


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer " + "x" * 10_000, "Bearer é"]
)
async def test_a_malformed_token_is_rejected(api: Api, header: str) -> None:
    assert await _me(api, header) == 401


async def test_two_authorization_headers_are_rejected(api: Api, learner: Person) -> None:
    twice = [("Authorization", learner.headers["Authorization"])] * 2
    assert (await api.client.get("/api/v1/me", headers=twice)).status_code == 401


async def test_a_refusal_says_how_to_authenticate(api: Api) -> None:
    answer = await api.client.get("/api/v1/me")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error_code"] == "UNAUTHENTICATED_401"


def test_a_token_expires() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    tokens = Tokens(SecretStr(SECRET), timedelta(minutes=60), clock=lambda: start)
    principal = Principal(user_id=_ID, role=UserRole.STUDENT, organization_id=_ID, version=0)
    with pytest.raises(Unauthenticated):
        tokens.read(tokens.issue(principal))


def test_a_cached_token_expires_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(SecretStr(SECRET), timedelta(minutes=60))
    principal = Principal(user_id=_ID, role=UserRole.STUDENT, organization_id=_ID, version=0)
    token = tokens.issue(principal)
    ends = jwt.decode(token, options={"verify_signature": False})["exp"]
    assert tokens.read(token) == principal
    monkeypatch.setattr("api.security.tokens.time.time", lambda: ends - 1)
    assert tokens.read(token) == principal
    monkeypatch.setattr("api.security.tokens.time.time", lambda: ends)
    with pytest.raises(Unauthenticated):
        tokens.read(token)


async def test_a_demoted_user_is_rejected_after_the_cache_expires() -> None:
    now = 0.0
    stored = Principal(user_id=_ID, role=UserRole.ADMIN, organization_id=_ID, version=0)

    async def load(_: object) -> Principal | None:
        return stored

    principals = Principals(load, ttl_s=30, clock=lambda: now)
    token = stored
    await principals.check(token)
    stored = Principal(user_id=_ID, role=UserRole.STUDENT, organization_id=_ID, version=0)
    now = 29
    await principals.check(token)
    now = 31
    with pytest.raises(Unauthenticated):
        await principals.check(token)


async def test_a_principal_that_changes_during_the_read_is_not_cached() -> None:
    stored = Principal(user_id=_ID, role=UserRole.ADMIN, organization_id=_ID, version=0)
    changed = replace(stored, version=1)
    found = stored
    reading, told = asyncio.Event(), asyncio.Event()

    async def load(_: object) -> Principal | None:
        was = found
        reading.set()
        await told.wait()
        return was

    principals = Principals(load)
    check = asyncio.create_task(principals.check(stored))
    await reading.wait()
    found = changed
    principals.forget(_ID)
    told.set()
    await check
    with pytest.raises(Unauthenticated):
        await principals.check(stored)


async def test_a_token_newer_than_the_cache_is_accepted_at_once() -> None:
    """For example after another process changed the password and issued new tokens."""
    stored = Principal(user_id=_ID, role=UserRole.ADMIN, organization_id=_ID, version=0)

    async def load(_: object) -> Principal | None:
        return stored

    principals = Principals(load, clock=lambda: 0.0)
    before = await principals.check(stored)
    stored = replace(stored, version=1)

    assert await principals.check(stored) == stored
    with pytest.raises(Unauthenticated):
        await principals.check(before)


async def test_a_change_by_this_process_takes_effect_at_once() -> None:
    stored: Principal | None = Principal(user_id=_ID, role=UserRole.ADMIN, organization_id=_ID, version=0)

    async def load(_: object) -> Principal | None:
        return stored

    principals = Principals(load, clock=lambda: 0.0)
    token = await principals.find(_ID)
    stored = None
    await principals.check(token)

    principals.forget(_ID)

    with pytest.raises(Unauthenticated):
        await principals.check(token)


async def test_forgetting_a_user_also_drops_the_entry_by_address() -> None:
    stored: Principal | None = Principal(user_id=_ID, role=UserRole.ADMIN, organization_id=_ID, version=0)

    async def load(_: object) -> Principal | None:
        return stored

    principals = Principals(load, clock=lambda: 0.0)
    await principals.find("ada@partner.example")
    stored = None

    principals.forget(_ID)

    with pytest.raises(Unauthenticated):
        await principals.find("ada@partner.example")


def test_cache_entries_expire_well_within_a_minute() -> None:
    assert TTL_S <= 30


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"role": "advisor"}, {"token_version": 1}])
async def test_a_revoked_or_changed_person_is_refused(api: Api, change: dict[str, Any]) -> None:
    person = await api.person()
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(**change))
        await session.commit()
    assert (await api.get(person, "/me")).status_code == 401


_ID = UUID(int=1)


def _tokens(secret: str) -> Tokens:
    return Tokens(SecretStr(secret), timedelta(minutes=15))


async def _me(api: Api, header: str) -> int:
    answer = await api.client.get("/api/v1/me", headers=[(b"Authorization", header.encode())])
    return answer.status_code
