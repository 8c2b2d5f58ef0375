"""Overload: a response with Retry-After, and no hanging requests."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import build
from api.middleware.response_headers import HttpSettings
from persistence.database import DatabaseSettings, RequestDatabaseSettings, create_engine
from persistence.queries.assessments import Queries
from persistence.request_database import RequestDatabase
from persistence.tables import RoleRow, UserRow
from tests.api.conftest import UNLIMITED, Api, Person, client_with
from tests.support.builders import ROLE_ID

START = "/api/v1/assessments/start"


@pytest.fixture
async def small(api_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection and short timeouts."""
    patience = {"pool_size": 1, "pool_timeout_s": 0.2, "statement_timeout_s": 2, "lock_timeout_s": 0.2}
    engine = create_engine(RequestDatabaseSettings.model_validate({"url": api_database} | patience))
    yield engine
    await engine.dispose()


@pytest.fixture
async def narrow(api: Api, small: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_with(api, queries=Queries(small), database=RequestDatabase(small)) as client:
        yield client


def told_to_come_again(answer: httpx.Response, code: str = "STORAGE_503") -> bool:
    told = answer.status_code, answer.json()["error_code"], answer.headers["Retry-After"].isdigit()
    return told == (503, code, True)


async def test_a_full_pool_is_503(narrow: httpx.AsyncClient, small: AsyncEngine, learner: Person) -> None:
    async with small.connect() as taken:
        await taken.execute(text("SELECT 1"))
        read, write = await asyncio.gather(
            narrow.get("/api/v1/roles", headers=learner.headers),
            narrow.post(START, json={"role_id": str(ROLE_ID)}, headers=learner.headers | {"Idempotency-Key": "k"}),
        )
        alive = await narrow.get("/healthz")
    assert told_to_come_again(read)
    assert told_to_come_again(write)
    assert alive.status_code == 200
    assert (await narrow.get("/api/v1/roles", headers=learner.headers)).status_code == 200


async def test_a_locked_row_is_503_with_retry_after(narrow: httpx.AsyncClient, api: Api, learner: Person) -> None:
    request: dict[str, Any] = {"json": {"role_id": str(ROLE_ID)}, "headers": learner.headers | {"Idempotency-Key": "k"}}
    async with api.sessions() as session:
        await session.execute(select(UserRow.id).where(UserRow.id == learner.id).with_for_update())
        held = await narrow.post(START, **request)
    assert told_to_come_again(held)
    assert (await narrow.post(START, **request)).status_code == 201


async def test_a_statement_that_takes_too_long_is_503(api: Api, api_database: str, learner: Person) -> None:
    values = {"url": api_database, "statement_timeout_s": 0.2, "lock_timeout_s": 0}
    engine = create_engine(DatabaseSettings.model_validate(values))
    async with api.sessions() as session, client_with(api, queries=Queries(engine)) as client:
        await session.execute(text(f"LOCK TABLE {RoleRow.__tablename__} IN ACCESS EXCLUSIVE MODE"))
        slow = await client.get("/api/v1/roles", headers=learner.headers)
    assert told_to_come_again(slow)
    await engine.dispose()


async def test_a_hanging_database_is_503_and_its_connection_is_replaced(
    api: Api, small: AsyncEngine, learner: Person
) -> None:
    async with small.connect() as connection:
        backend: int = (await connection.execute(select(func.pg_backend_pid()))).scalar_one()
    app = build(http=HttpSettings(api_request_timeout_s=2), limits=UNLIMITED)
    app.state.services = replace(api.services, queries=Queries(small))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=learner.headers) as client:
        os.kill(backend, signal.SIGSTOP)
        try:
            frozen = await client.get("/api/v1/roles")
            thawed = await client.get("/api/v1/roles")
        finally:
            os.kill(backend, signal.SIGCONT)
    assert told_to_come_again(frozen, "UNAVAILABLE_503")
    assert thawed.status_code == 200


async def test_one_request_too_many_is_503_before_its_body_is_read(api: Api, learner: Person) -> None:
    app = build(http=HttpSettings(api_max_requests=1), limits=UNLIMITED)
    app.state.services = api.services
    begun, goes_on, read = asyncio.Event(), asyncio.Event(), False

    async def slow_body() -> AsyncIterator[bytes]:
        begun.set()
        await goes_on.wait()
        yield b"{}"

    async def unread() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"{}"

    headers = learner.headers | {"Content-Type": "application/json"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        first = asyncio.create_task(client.post(START, content=slow_body(), headers=headers))
        await begun.wait()
        refused = await client.post(START, content=unread(), headers=headers)
        alive = await client.get("/healthz")
        goes_on.set()
        answered = await first
        after = await client.get("/api/v1/me", headers=learner.headers)
    assert told_to_come_again(refused, "OVERLOADED_503")
    assert not read
    assert "X-Request-Id" in refused.headers
    assert [each.status_code for each in (alive, answered, after)] == [200, 400, 200]
