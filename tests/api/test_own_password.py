"""Changing one's own password, also after an admin has reset it."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from api.security.passwords import hash_password
from persistence.tables import AuditLogRow, UserRow
from tests.api.conftest import Api, Person

OLD, NEW = "correct horse battery staple", "another horse with a battery"
LOGIN, CHANGE = "/api/v1/auth/token", "/api/v1/me/password"


@pytest.fixture(scope="session")
def old_hash() -> str:
    return hash_password(OLD)


@pytest.fixture
async def person(api: Api, old_hash: str) -> Person:
    return await api.person(password_hash=old_hash)


async def log_in(api: Api, person: Person, password: str = OLD) -> httpx.Response:
    return await api.client.post(LOGIN, data={"username": f"{person.id}@example.org", "password": password})


async def change(api: Api, token: str, current: str = OLD, new: str = NEW) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return await api.client.post(CHANGE, json=body, headers=bearer(token))


async def me(api: Api, token: str) -> httpx.Response:
    return await api.client.get("/api/v1/me", headers=bearer(token))


async def refresh(api: Api, pair: dict[str, Any]) -> int:
    return (await api.client.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})).status_code


async def reset(api: Api, admin: Person, user_id: UUID, password: str = NEW) -> httpx.Response:
    return await api.client.patch(f"/api/v1/users/{user_id}", json={"password": password}, headers=admin.headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_new_password_counts_and_the_old_one_does_not(api: Api, person: Person) -> None:
    pair = (await log_in(api, person)).json()

    changed = await change(api, pair["access_token"])

    assert (changed.status_code, changed.headers["Cache-Control"]) == (200, "no-store")
    assert [(await log_in(api, person, each)).status_code for each in (OLD, NEW)] == [401, 200]


async def test_all_other_sessions_end_and_a_new_one_begins(api: Api, person: Person) -> None:
    mine, other = (await log_in(api, person)).json(), (await log_in(api, person)).json()

    new = (await change(api, mine["access_token"])).json()

    assert [await refresh(api, pair) for pair in (mine, other, new)] == [401, 401, 200]
    assert [(await me(api, pair["access_token"])).status_code for pair in (mine, other, new)] == [401, 401, 200]


async def test_the_change_is_audited_as_the_persons_own(api: Api, person: Person) -> None:
    await change(api, (await log_in(api, person)).json()["access_token"])

    async with api.sessions() as session:
        row = AuditLogRow
        found = select(row.action, row.actor_id, row.actor_role, row.details).where(row.resource_id == person.id)
        rows = [tuple(each) for each in await session.execute(found)]
    assert rows == [("user.changed", person.id, "student", {"fields": ["password"]})]


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("a wrong password", NEW, "current_password"),
        ("", NEW, "current_password"),
        (OLD, "short", "new_password"),
        (OLD, " " * 12, "new_password"),
        (OLD, OLD, "new_password"),
        (OLD, f"{OLD[:7]}\u00a0{OLD[8:]}", "new_password"),
        (OLD, "{email}", "new_password"),
    ],
    ids=range(7),
)
async def test_a_change_that_is_refused_changes_nothing(
    api: Api, person: Person, current: str, new: str, field: str
) -> None:
    pair = (await log_in(api, person)).json()

    refused = await change(api, pair["access_token"], current, new.format(email=f"{person.id}@example.org"))

    assert (refused.status_code, refused.json()["error_code"]) == (400, "VALIDATION_400")
    assert [problem["field"] for problem in refused.json()["details"]] == [field]
    assert (await log_in(api, person)).status_code == 200
    assert await refresh(api, pair) == 200


async def test_an_account_of_another_issuer_has_no_password_to_change(api: Api) -> None:
    person = await api.person()
    refused = await api.client.post(CHANGE, json={"current_password": OLD, "new_password": NEW}, headers=person.headers)
    assert (refused.status_code, refused.json()["error_code"]) == (409, "CONFLICT_409")


async def test_a_disabled_user_with_a_remembered_token_is_not_told_that_the_password_is_missing(
    api: Api, person: Person
) -> None:
    assert (await me(api, person.headers["Authorization"].removeprefix("Bearer "))).status_code == 200
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(status="disabled"))
        await session.commit()

    refused = await api.client.post(CHANGE, json={"current_password": OLD, "new_password": NEW}, headers=person.headers)

    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED_401")


async def test_after_a_reset_only_the_password_can_be_changed(api: Api, person: Person) -> None:
    admin = await api.person("admin")
    assert (await reset(api, admin, person.id)).status_code == 200

    pair = (await log_in(api, person, NEW)).json()
    token = pair["access_token"]

    refused = await api.client.get("/api/v1/roles", headers=bearer(token))
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PASSWORD_CHANGE_REQUIRED")
    assert (await me(api, token)).json()["must_change_password"] is True
    logged_out = await api.client.post("/api/v1/auth/logout", json={"refresh_token": pair["refresh_token"]})
    assert logged_out.status_code == 204


async def test_the_restriction_survives_a_refresh_and_ends_with_the_change(api: Api, person: Person) -> None:
    await reset(api, await api.person("admin"), person.id)
    pair = (await log_in(api, person, NEW)).json()
    refreshed = await api.client.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    token = refreshed.json()["access_token"]
    assert (await api.client.get("/api/v1/roles", headers=bearer(token))).status_code == 403

    own = (await change(api, token, NEW, "a password of my own choice")).json()["access_token"]

    assert (await api.client.get("/api/v1/roles", headers=bearer(own))).status_code == 200
    assert "must_change_password" not in (await me(api, own)).json()


async def test_a_reset_platform_admin_changes_the_password_first(api: Api, old_hash: str) -> None:
    platform, other = await api.person("platform_admin", password_hash=old_hash), await api.person("platform_admin")
    await reset(api, other, platform.id)

    token = (await log_in(api, platform, NEW)).json()["access_token"]

    refused = await api.client.get("/api/v1/organizations", headers=bearer(token))
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PASSWORD_CHANGE_REQUIRED")


async def test_a_change_of_role_asks_for_no_new_password(api: Api, person: Person) -> None:
    admin = await api.person("admin")
    await api.client.patch(f"/api/v1/users/{person.id}", json={"role": "advisor"}, headers=admin.headers)

    token = (await log_in(api, person)).json()["access_token"]

    assert (await api.client.get("/api/v1/roles", headers=bearer(token))).status_code == 200


async def test_an_admin_cannot_skip_the_current_password(api: Api) -> None:
    admin = await api.person("admin")
    refused = await reset(api, admin, admin.id)
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "password")


async def test_a_reset_to_the_persons_address_is_refused(api: Api, person: Person) -> None:
    refused = await reset(api, await api.person("admin"), person.id, f"{person.id}@example.org")
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "password")
    async with api.sessions() as session:
        row = (await session.scalars(select(UserRow).where(UserRow.id == person.id))).one()
    assert (row.must_change_password, row.token_version) == (False, 0)
