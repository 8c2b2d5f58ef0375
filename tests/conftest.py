"""Databases for every layer's tests.

`uow_factory` and `session_factory` work in one transaction that is rolled back after the test; what must really commit
(locks between connections, a server process) takes `clean_database`, a fresh copy of its own.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from domain.ports import UnitOfWorkFactory
from persistence.engine import create_engine
from persistence.unit_of_work import SqlUnitOfWork
from tests.databases import Databases, database_server, settings_of

_SERVER = pytest.StashKey[AbstractContextManager[Databases]]()
_DATABASES = pytest.StashKey[Databases]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """With pytest-xdist the controller owns the server and tells each worker where it is."""
    node.workerinput["databases"] = _started(node.config).admin_url


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(_SERVER, None):
        server.__exit__(None, None, None)


def _started(config: pytest.Config) -> Databases:
    if _DATABASES not in config.stash:
        server = database_server()
        config.stash[_DATABASES] = server.__enter__()
        config.stash[_SERVER] = server
    return config.stash[_DATABASES]


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The run's server; without pytest-xdist it starts with the first test that needs it."""
    given = getattr(request.config, "workerinput", {}).get("databases")
    return Databases(given) if given else _started(request.config)


@pytest.fixture(scope="session")
def database_url(databases: Databases, worker: str) -> Iterator[str]:
    """This worker's database: migrated, with the content, and without people unless a test commits some."""
    with databases.new(worker) as url:
        yield url


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """The name of the pytest-xdist worker that runs this."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "alone"))


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(database_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def session_factory(engine: AsyncEngine) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions on one connection; a commit ends a savepoint only, and all of it is rolled back after the test."""
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield async_sessionmaker(
            connection, autoflush=False, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        await transaction.rollback()


@pytest.fixture
async def session(session_factory: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """For arranging and looking; what it writes is seen by `uow_factory` without a commit."""
    async with session_factory() as session:
        yield session


@pytest.fixture
def uow_factory(session_factory: async_sessionmaker[AsyncSession]) -> UnitOfWorkFactory:
    def open_unit(*, autocommit: bool = False) -> SqlUnitOfWork:
        del autocommit  # everything stays in the test's transaction
        return SqlUnitOfWork(session_factory)

    return open_unit


@pytest.fixture
def clean_database(databases: Databases, worker: str) -> Iterator[str]:
    """The URL of a fresh copy of the template for a test that commits."""
    with databases.new(f"{worker}_clean") as url:
        yield url
