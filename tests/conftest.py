"""Databases for every layer's tests, and Weaviate.

`database` and `session_factory` work in one transaction that is rolled back after the test; what must really commit
(locks between connections, a server process) takes `clean_database`, a fresh copy of its own.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from domain.database import Database
from persistence.database import create_engine
from persistence.vectors.weaviate import Weaviate
from tests.support.databases import Databases, database_server, settings_of
from tests.support.rolled_back_database import RolledBackDatabase
from tests.support.vector_stores import none_to_be_had, settings_of_weaviate, weaviate_for_tests

Server = TypeVar("Server")

_SERVERS = pytest.StashKey[ExitStack]()
_DATABASES = pytest.StashKey[Databases]()
_WEAVIATE = pytest.StashKey[dict[str, str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """With pytest-xdist the controller owns the servers and tells each worker where they are."""
    node.workerinput["databases"] = _started(node.config, _DATABASES, database_server).admin_url
    node.workerinput["weaviate"] = _started(node.config, _WEAVIATE, weaviate_for_tests)


def pytest_unconfigure(config: pytest.Config) -> None:
    if servers := config.stash.get(_SERVERS, None):
        servers.close()


def _started(
    config: pytest.Config, key: pytest.StashKey[Server], server: Callable[[], AbstractContextManager[Server]]
) -> Server:
    if key not in config.stash:
        servers = config.stash.setdefault(_SERVERS, ExitStack())
        config.stash[key] = servers.enter_context(server())
    return config.stash[key]


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The run's server; without pytest-xdist it starts with the first test that needs it."""
    given = getattr(request.config, "workerinput", {}).get("databases")
    return Databases(given) if given else _started(request.config, _DATABASES, database_server)


@pytest.fixture(scope="session")
def weaviate_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a client of the run's Weaviate is set with; its tests are skipped where none can be had."""
    given: dict[str, str] | None = getattr(request.config, "workerinput", {}).get("weaviate")
    environment = _started(request.config, _WEAVIATE, weaviate_for_tests) if given is None else given
    return environment or none_to_be_had()


@pytest.fixture(scope="session")
async def weaviate(weaviate_environment: dict[str, str]) -> AsyncIterator[Weaviate]:
    async with Weaviate(settings_of_weaviate(weaviate_environment)) as weaviate:
        yield weaviate


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
    """For arranging and looking; what it writes is seen by `database` without a commit."""
    async with session_factory() as session:
        yield session


@pytest.fixture
def database(session_factory: async_sessionmaker[AsyncSession]) -> Database:
    return RolledBackDatabase(session_factory)


@pytest.fixture
def clean_database(databases: Databases, worker: str) -> Iterator[str]:
    """The URL of a fresh copy of the template for a test that commits."""
    with databases.new(f"{worker}_clean") as url:
        yield url


@pytest.fixture
async def clean_engine(clean_database: str) -> AsyncIterator[AsyncEngine]:
    """For what commits, or needs two connections."""
    engine = create_engine(settings_of(clean_database))
    yield engine
    await engine.dispose()
