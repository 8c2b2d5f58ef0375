"""Settings of the database connection, and the translation of database errors."""

import os
import socket
import sys
from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.ports import free_port
from domain.errors import StorageUnavailable
from persistence.database import DatabaseSettings, create_engine, in_autocommit
from persistence.unit_of_work import SqlUnitOfWork, sessions
from tests.support.databases import settings_of

_WAITING = ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT")

MARKER = "a student's own words"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_form_of_the_url_is_understood(scheme: str) -> None:
    url = settings_of(f"{scheme}://somebody:secret@db.example.org:5433/credits").sqlalchemy_url

    assert (
        url.render_as_string(hide_password=False) == "postgresql+psycopg://somebody:secret@db.example.org:5433/credits"
    )


@pytest.mark.parametrize("url", ["mysql://localhost/credits", "credits", "", "postgresql+asyncpg://localhost/credits"])
def test_another_databases_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must be of the form"):
        settings_of(url)


@pytest.mark.skipif(sys.platform != "linux", reason="the options have other names elsewhere")
async def test_a_lost_server_is_detected_within_half_a_minute(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw
        with socket.socket(fileno=os.dup(raw.fileno())) as found:
            options = {name: found.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}")) for name in _WAITING}

    assert options["KEEPIDLE"] + options["KEEPINTVL"] * options["KEEPCNT"] <= 30
    assert 0 < options["USER_TIMEOUT"] <= 30_000


def test_the_password_is_never_shown() -> None:
    settings = settings_of("postgresql://somebody:secret@db.example.org/credits")

    assert "secret" not in repr(settings)


def test_the_environment_sets_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db.example.org/credits")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "3")

    settings = DatabaseSettings()

    assert (settings.sqlalchemy_url.host, settings.pool_size) == ("db.example.org", 3)


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection and short timeouts."""
    values = {"url": database_url, "pool_size": 1, "pool_timeout_s": 0.1, "statement_timeout_s": 0.2}
    engine = create_engine(DatabaseSettings.model_validate(values))
    yield engine
    await engine.dispose()


async def run(engine: AsyncEngine, statement: str, **values: object) -> None:
    uow = SqlUnitOfWork(sessions(engine))
    async with uow:
        await uow._session.execute(text(statement), values)


async def test_a_statement_that_takes_too_long_may_be_retried(small: AsyncEngine) -> None:
    with pytest.raises(StorageUnavailable, match="57014"):
        await run(small, "SELECT pg_sleep(30)")


@pytest.mark.parametrize("state", ["40001", "40P01"], ids=["serialization failure", "deadlock"])
async def test_a_conflict_between_transactions_may_be_retried(small: AsyncEngine, state: str) -> None:
    with pytest.raises(StorageUnavailable):
        await run(small, f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")


async def test_a_connection_to_a_standby_is_replaced(small: AsyncEngine) -> None:
    """After a failover, open connections may lead to the server that has become a standby."""
    async with small.connect() as connection:
        await connection.execute(text("SET default_transaction_read_only = on"))
        await connection.commit()

    with pytest.raises(StorageUnavailable, match="25006"):
        await run(small, "DELETE FROM catalog_searches")

    await run(small, "DELETE FROM catalog_searches")


async def test_a_full_pool_may_be_retried(small: AsyncEngine) -> None:
    async with small.connect() as taken:
        await taken.execute(text("SELECT 1"))
        with pytest.raises(StorageUnavailable, match="became free"):
            await run(small, "SELECT 1")


async def test_a_lost_connection_may_be_retried_and_the_next_one_works(small: AsyncEngine) -> None:
    with pytest.raises(StorageUnavailable):
        await run(small, "SELECT pg_terminate_backend(pg_backend_pid())")

    await run(small, "SELECT 1")


async def test_an_unreachable_server_may_be_retried() -> None:
    engine = create_engine(settings_of(f"postgresql://somebody:secret@127.0.0.1:{free_port()}/credits"))

    with pytest.raises(StorageUnavailable):
        await run(engine, "SELECT 1")

    await engine.dispose()


async def test_other_errors_are_unchanged_and_show_no_parameters(small: AsyncEngine) -> None:
    with pytest.raises(ProgrammingError) as bug:
        await run(small, "SELECT :answer FROM nowhere", answer=MARKER)

    assert MARKER not in str(bug.value)


async def test_the_statements_of_a_transaction_share_one_time_and_those_in_autocommit_do_not(
    engine: AsyncEngine,
) -> None:
    times = {}
    for name, each in {"transaction": engine, "autocommit": in_autocommit(engine)}.items():
        async with each.connect() as connection:
            times[name] = {await connection.scalar(text("SELECT now()")) for _ in range(2)}

    assert {name: len(found) for name, found in times.items()} == {"transaction": 1, "autocommit": 2}


async def test_an_error_ends_a_transaction_without_a_trace_and_its_connection_can_be_used_again(
    engine: AsyncEngine,
) -> None:
    async def fail_halfway() -> None:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE half_done (id int)"))
            await connection.execute(text("no statement"))

    with pytest.raises(ProgrammingError):
        await fail_halfway()

    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT to_regclass('half_done')")) is None
