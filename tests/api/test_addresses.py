"""E-mail addresses are compared in a normal form: a similar-looking letter never matches another account."""

import unicodedata
from uuid import uuid4

import bcrypt
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.security.passwords import hash_password
from persistence.repositories.accounts import NewAccount, ensure_accounts
from persistence.tables import UserRow
from tests.api.conftest import Api

PASSWORD = "correct horse battery staple"
LOGIN = "/api/v1/auth/token"


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


async def log_in(api: Api, username: str, password: str = PASSWORD) -> int:
    return (await api.client.post(LOGIN, data={"username": username, "password": password})).status_code


@pytest.mark.parametrize("letter", ["İ", "ı", "ｉ", "і"], ids=ascii)
async def test_a_letter_outside_ascii_matches_no_account(api: Api, password_hash: str, letter: str) -> None:
    name = uuid4().hex
    await api.person(email=f"advisor.{name}@example.org", password_hash=password_hash)
    assert await log_in(api, f"adv{letter}sor.{name}@example.org") == 401
    assert await log_in(api, f" ADVISOR.{name}@example.org ") == 200


async def test_an_account_with_a_non_ascii_address_is_listed_and_can_be_erased(api: Api, password_hash: str) -> None:
    """The account cannot log in and is not found by address."""
    name = uuid4().hex
    stored = await api.person(email=f"advİsor.{name}@example.org", password_hash=password_hash)
    admin = await api.person("admin")

    assert [await log_in(api, f"adv{letter}sor.{name}@example.org") for letter in ("İ", "i")] == [401, 401]
    assert (await api.get(admin, "/users", email=f"advisor.{name}@example.org")).json()["items"] == []
    assert (await api.get(admin, f"/users/{stored.id}")).json()["email"] == f"advİsor.{name}@example.org"
    assert (await api.client.delete(f"/api/v1/users/{stored.id}", headers=admin.headers)).status_code == 202


@pytest.mark.parametrize("email", ["advİsor@example.org", "admin@exämple.org", "\u212aim@example.org"], ids=ascii)
async def test_no_account_is_created_with_such_an_address(api: Api, email: str) -> None:
    admin, platform = await api.person("admin"), await api.person("platform_admin")
    user = {"email": email, "password": PASSWORD, "role": "student"}
    organization = {"name": "A college", "admin": {"email": email, "password": PASSWORD}}
    answers = [
        await api.client.post("/api/v1/users", json=user, headers=admin.headers),
        await api.client.post("/api/v1/organizations", json=organization, headers=platform.headers),
        await api.client.get("/api/v1/users", params={"email": email}, headers=admin.headers),
    ]
    assert [answer.status_code for answer in answers] == [400] * 3


async def test_commands_create_no_account_with_such_an_address(api: Api, password_hash: str) -> None:
    engine = api.sessions.kw["bind"]
    account = NewAccount(email=f"advİsor.{uuid4()}@example.org", password_hash=password_hash, role="advisor")
    with pytest.raises(ValueError, match="ASCII"):
        await ensure_accounts(engine, "demo", "Demo", [account])
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(UserRow.id).where(UserRow.email == account.email)) is None


async def test_both_forms_of_a_letter_are_one_password(api: Api) -> None:
    admin = await api.person("admin")
    composed = unicodedata.normalize("NFC", "Zoë's café au lait")
    decomposed = unicodedata.normalize("NFD", composed)
    for made, used in ((composed, decomposed), (decomposed, composed)):
        email = f"{uuid4()}@example.org"
        body = {"email": email, "password": made, "role": "student"}
        assert (await api.client.post("/api/v1/users", json=body, headers=admin.headers)).status_code == 201
        assert [await log_in(api, email, each) for each in (made, used)] == [200, 200]


async def test_a_hash_of_another_form_still_counts_and_is_replaced(api: Api) -> None:
    composed = unicodedata.normalize("NFC", "Zoë's café au lait")
    decomposed = unicodedata.normalize("NFD", composed)
    old_hash = bcrypt.hashpw(decomposed.encode(), bcrypt.gensalt(4)).decode()
    person = await api.person(password_hash=old_hash)
    email = f"{person.id}@example.org"

    assert await log_in(api, email, "another password") == 401
    assert await log_in(api, email, composed) == 200

    async with api.sessions() as session:
        row = (await session.scalars(select(UserRow).where(UserRow.id == person.id))).one()
    assert row.password_hash is not None
    assert bcrypt.checkpw(composed.encode(), row.password_hash.encode())
    assert row.token_version == 0
    assert [await log_in(api, email, each) for each in (decomposed, composed)] == [200, 200]
