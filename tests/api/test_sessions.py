"""Refresh tokens: each works once, and reuse ends the session."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from api.security.passwords import hash_password
from persistence.queries.views import Holder
from persistence.tables import AuditLogRow, RefreshTokenRow, UserRow
from tests.api.conftest import Api, Person

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
async def person(api: Api, password_hash: str) -> Person:
    return await api.person(password_hash=password_hash)


async def log_in(api: Api, person: Person) -> dict[str, Any]:
    form = {"username": f"{person.id}@example.org", "password": PASSWORD}
    answer = await api.client.post("/api/v1/auth/token", data=form)
    assert answer.status_code == 200, answer.text
    pair: dict[str, Any] = answer.json()
    return pair


async def refresh(api: Api, token: str) -> httpx.Response:
    return await api.client.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def log_out(api: Api, token: str) -> httpx.Response:
    return await api.client.post("/api/v1/auth/logout", json={"refresh_token": token})


async def audited(api: Api, person: Person) -> list[str]:
    about = AuditLogRow.details["user_id"].astext == str(person.id)
    async with api.sessions() as session:
        found = select(AuditLogRow.action).where(AuditLogRow.resource_type == "session", about)
        return list(await session.scalars(found.order_by(AuditLogRow.seq)))


async def test_a_refresh_gives_the_next_pair(api: Api, person: Person) -> None:
    first = await log_in(api, person)

    answer = await refresh(api, first["refresh_token"])

    second = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert second["refresh_token"] != first["refresh_token"]
    me = await api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {second['access_token']}"})
    assert me.json()["user_id"] == str(person.id)
    assert (await refresh(api, second["refresh_token"])).status_code == 200


async def test_a_used_token_that_comes_back_ends_the_session(api: Api, person: Person) -> None:
    first, other = await log_in(api, person), await log_in(api, person)
    second = (await refresh(api, first["refresh_token"])).json()

    reused = await refresh(api, first["refresh_token"])
    after = await refresh(api, second["refresh_token"])

    assert [reused.status_code, after.status_code] == [401, 401]
    assert reused.json()["error_code"] == "UNAUTHENTICATED_401"
    assert reused.text == after.text == (await refresh(api, "never-issued")).text
    assert await audited(api, person) == ["session.reused"]
    assert (await refresh(api, other["refresh_token"])).status_code == 200


async def test_of_two_at_the_same_moment_one_wins_and_the_session_ends(api: Api, person: Person) -> None:
    first = await log_in(api, person)

    answers = await asyncio.gather(*(refresh(api, first["refresh_token"]) for _ in range(4)))

    won = [answer.json()["refresh_token"] for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    assert (await refresh(api, won[0])).status_code == 401
    assert await audited(api, person) == ["session.reused"]


async def test_a_logout_ends_this_session_only(api: Api, person: Person) -> None:
    first, other = await log_in(api, person), await log_in(api, person)
    second = (await refresh(api, first["refresh_token"])).json()

    out = await log_out(api, second["refresh_token"])

    assert (out.status_code, out.content, out.headers["Cache-Control"]) == (204, b"", "no-store")
    assert (await refresh(api, second["refresh_token"])).status_code == 401
    assert (await refresh(api, other["refresh_token"])).status_code == 200
    assert await audited(api, person) == ["session.ended"]


async def test_a_logout_says_nothing_about_the_token(api: Api, person: Person) -> None:
    token = (await log_in(api, person))["refresh_token"]

    assert [(await log_out(api, each)).status_code for each in (token, token, "never-issued")] == [204] * 3
    assert await audited(api, person) == ["session.ended"]


async def test_refreshing_does_not_prolong_a_session(api: Api, person: Person) -> None:
    first = await log_in(api, person)
    await refresh(api, first["refresh_token"])
    async with api.sessions() as session:
        mine = RefreshTokenRow.user_id == person.id
        ends = set(await session.scalars(select(RefreshTokenRow.expires_at).where(mine)))
    assert len(ends) == 1
    assert ends.pop() <= datetime.now(UTC) + timedelta(days=api.services.settings.refresh_days)


async def test_a_session_that_has_run_out_is_over(api: Api, person: Person) -> None:
    token = (await log_in(api, person))["refresh_token"]
    async with api.sessions() as session:
        ended = update(RefreshTokenRow).values(expires_at=func.now() - timedelta(seconds=1))
        await session.execute(ended.where(RefreshTokenRow.user_id == person.id))
        await session.commit()
    assert (await refresh(api, token)).status_code == 401


@pytest.mark.parametrize("status", ["disabled", "erasing", "erased"])
async def test_only_the_active_refresh(api: Api, person: Person, status: str) -> None:
    token = (await log_in(api, person))["refresh_token"]
    await change(api, person, status=status)
    assert (await refresh(api, token)).status_code == 401


async def test_a_refresh_gives_the_role_that_the_person_has_now(api: Api, person: Person) -> None:
    token = (await log_in(api, person))["refresh_token"]
    await change(api, person, role="advisor", token_version=1)

    access_token = (await refresh(api, token)).json()["access_token"]

    me = await api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {access_token}"})
    assert me.json()["role"] == "advisor"


@pytest.mark.parametrize("changed", [{"token_version": 1}, {"status": "disabled"}])
async def test_no_session_begins_for_an_account_that_has_changed_since_its_password_was_right(
    api: Api, person: Person, changed: dict[str, Any]
) -> None:
    holder = Holder(
        user_id=person.id, role="student", organization_id=person.principal.organization_id, token_version=0
    )
    await change(api, person, **changed)
    async with api.uow() as uow:
        assert await uow.refresh_tokens.start(holder, timedelta(days=1)) is None


async def test_only_hashes_are_stored(api: Api, person: Person) -> None:
    token = (await log_in(api, person))["refresh_token"]
    async with api.sessions() as session:
        stored = await session.scalar(select(RefreshTokenRow.token_hash).where(RefreshTokenRow.user_id == person.id))
    assert len(str(stored)) == 64
    assert token not in str(stored)


@pytest.mark.parametrize("path", ["refresh", "logout"])
@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": 7}, {"refresh_token": "x" * 257}, []])
async def test_a_body_without_a_token_is_400(api: Api, path: str, body: Any) -> None:
    answer = await api.client.post(f"/api/v1/auth/{path}", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


async def change(api: Api, person: Person, **columns: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(**columns))
        await session.commit()
