"""Logging in, and which tokens count."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from api.passwords import COST, Passwords, PasswordTooLong, hash_password
from api.principals import Principals
from api.tokens import ALGORITHM, AUDIENCE, ISSUER, Principal, Tokens, UserRole
from domain.errors import Unauthenticated
from persistence.tables import UserRow
from tests.api.conftest import SECRET, Api, Person

TOKEN = "/api/v1/auth/token"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


async def test_a_login_gives_a_token_that_works(api: Api, password_hash: str) -> None:
    person = await api.person(email="Ada.L@example.org", password_hash=password_hash)
    answer = await api.client.post(TOKEN, data={"username": "ada.l@EXAMPLE.org", "password": PASSWORD})
    assert answer.status_code == 200
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 3600)
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    me = await api.client.get("/api/v1/me", headers=headers)
    assert me.json() == {
        "user_id": str(person.id),
        "role": "student",
        "organization_id": str(api.organization_id),
    }


async def test_wrong_password_unknown_address_and_the_unusable_look_the_same(api: Api, password_hash: str) -> None:
    await api.person(email="known@example.org", password_hash=password_hash)
    await api.person(email="without@example.org", password_hash=None)
    await api.person(email="gone@example.org", password_hash=password_hash, status="disabled")
    tried = {
        "known@example.org": "wrong",
        "unknown@example.org": PASSWORD,
        "without@example.org": PASSWORD,
        "gone@example.org": PASSWORD,
        "a\0b@example.org": PASSWORD,
        "a" * 300: PASSWORD,
    }
    answers = [
        await api.client.post(TOKEN, data={"username": username, "password": password})
        for username, password in tried.items()
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_a_password_is_never_cut(api: Api) -> None:
    await api.person(email="long@example.org", password_hash=hash_password("x" * 72))
    too_long = await api.client.post(TOKEN, data={"username": "long@example.org", "password": "x" * 73})
    exact = await api.client.post(TOKEN, data={"username": "long@example.org", "password": "x" * 72})
    assert (too_long.status_code, exact.status_code) == (401, 200)
    with pytest.raises(PasswordTooLong):
        hash_password("é" * 37)


@pytest.mark.parametrize("form", [{}, {"username": "a"}, {"grant_type": "other", "username": "a", "password": "b"}])
async def test_an_incomplete_form_is_400(api: Api, form: dict[str, str]) -> None:
    answer = await api.client.post(TOKEN, data=form)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


async def test_an_unknown_address_costs_a_hash_like_a_known_one(password_hash: str) -> None:
    assert password_hash.startswith(f"$2b${COST}$")
    passwords = Passwords()
    assert await passwords.verify(PASSWORD, password_hash)
    assert not await passwords.verify(PASSWORD, None)
    passwords.close()


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


def _signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = ALGORITHM) -> str:
    return jwt.encode(claims, secret, algorithm)


async def test_claims_that_are_right_are_accepted(api: Api, learner: Person) -> None:
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
        {"aud": "another"},
        {"aud": [AUDIENCE]},
        {"iss": "another"},
        {"role": "admin"},
        {"role": "owner"},
        {"role": 1},
        {"org": "platform"},
        {"org": 7},
        {"sub": "somebody"},
        {"sub": "{00000000-0000-0000-0000-000000000000}"},
        {"ver": 1},
        {"ver": "x"},
    ],
    ids=str,
)
async def test_claims_that_are_not_are_refused(api: Api, learner: Person, changes: dict[str, Any]) -> None:
    assert await _me(api, f"Bearer {_signed(_claims(learner, **changes))}") == 401


async def test_other_keys_and_algorithms_are_refused(api: Api, learner: Person) -> None:
    claims = _claims(learner)
    forged = [
        _signed(claims, secret="another-secret-of-at-least-32-bytes!!"),
        _signed(claims, secret=SECRET * 2, algorithm="HS512"),
        jwt.encode(claims, "", "none"),
        _signed(claims) + "x",
    ]
    assert [await _me(api, f"Bearer {token}") for token in forged] == [401] * 4


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer " + "x" * 10_000, "Bearer é"]
)
async def test_what_is_no_token_is_refused(api: Api, header: str) -> None:
    assert await _me(api, header) == 401


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


async def test_a_demoted_person_is_refused_once_the_memory_ends() -> None:
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


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"role": "advisor"}, {"token_version": 1}])
async def test_a_revoked_or_changed_person_is_refused(api: Api, change: dict[str, Any]) -> None:
    person = await api.person()
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(**change))
        await session.commit()
    assert (await api.get(person, "/me")).status_code == 401


_ID = UUID(int=1)


async def _me(api: Api, header: str) -> int:
    answer = await api.client.get("/api/v1/me", headers=[(b"Authorization", header.encode())])
    return answer.status_code
