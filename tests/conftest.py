"""Provide databases and Weaviate to the tests of every layer.

`database` and `session_factory` work in one transaction that is rolled back after the test. A test that needs real
commits (locks between connections, a server process) uses `clean_database`, its own copy of the template.
"""

import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from deploy.local import ports
from domain.database import Database
from persistence.database import create_engine
from persistence.vectors.weaviate import Weaviate
from tests.support.databases import Databases, database_server, settings_of
from tests.support.rolled_back_database import RolledBackDatabase
from tests.support.vector_stores import settings_of_weaviate, skip_without_weaviate, weaviate_for_tests

Server = TypeVar("Server")

# OpenBLAS, which NumPy computes with, ends its threads when the process forks, and may then block for ever. Tests fork
# to start PostgreSQL as another user. With one thread there is nothing to end. NumPy reads this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A deadline would be a timed assertion. A fixed seed gives every run the same examples.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

LONGEST = "test_right_to_left.py"
FIRST = ("pages", "e2e")
"""The folders with tests that use a browser or a whole stack."""
PORT_SETS = 8

_SERVERS = pytest.StashKey[ExitStack]()
_DATABASES = pytest.StashKey[Databases]()
_WEAVIATE = pytest.StashKey[dict[str, str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the servers in the pytest-xdist controller and pass their addresses to each worker."""
    node.workerinput["databases"] = _started(node.config, _DATABASES, database_server).admin_url
    node.workerinput["weaviate"] = _started(node.config, _WEAVIATE, weaviate_for_tests)


def pytest_configure(config: pytest.Config) -> None:
    """Give this process ports of its own: two processes of pytest-xdist could find the same port free at once."""
    worker: str = getattr(config, "workerinput", {}).get("workerid", "gw-1")  # "gw0", "gw1"; absent in the controller
    ports._SERVERS = ports._SERVERS[(int(worker.removeprefix("gw")) + 1) % PORT_SETS :: PORT_SETS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests with a browser or a whole stack first, the longest of them before all others.

    With coverage, such a test twice took ten minutes after thousands of other tests in its process.
    """
    items.sort(key=lambda item: (item.path.name != LONGEST, item.path.parent.name not in FIRST))


def pytest_collection_finish() -> None:
    """Exempt modules and tests from garbage collection.

    A full collection takes 0.7 s otherwise, several times that with coverage on a busy machine. When it happened on the
    thread of a workflow, Temporal's deadlock detection, 2 s, interrupted it.
    """
    gc.collect()
    gc.freeze()


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
    """The test run's PostgreSQL server. Without pytest-xdist it starts with the first test that needs it."""
    given = getattr(request.config, "workerinput", {}).get("databases")
    return Databases(given) if given else _started(request.config, _DATABASES, database_server)


@pytest.fixture(scope="session")
def weaviate_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment variables of a Weaviate client. Without a Weaviate server the test is skipped."""
    given: dict[str, str] | None = getattr(request.config, "workerinput", {}).get("weaviate")
    environment = _started(request.config, _WEAVIATE, weaviate_for_tests) if given is None else given
    return environment or skip_without_weaviate()


@pytest.fixture(scope="session")
async def weaviate(weaviate_environment: dict[str, str]) -> AsyncIterator[Weaviate]:
    async with Weaviate(settings_of_weaviate(weaviate_environment)) as weaviate:
        yield weaviate


@pytest.fixture(scope="session")
def database_url(databases: Databases, worker_name: str) -> Iterator[str]:
    """The URL of this worker's database: migrated and with the content, but without users."""
    with databases.new(worker_name) as url:
        yield url


@pytest.fixture(scope="session")
def worker_name(request: pytest.FixtureRequest) -> str:
    """The name of this pytest-xdist worker, or "alone" without pytest-xdist."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "alone"))


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(database_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def session_factory(engine: AsyncEngine) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions on one connection. A commit releases a savepoint; everything is rolled back after the test."""
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield async_sessionmaker(
            connection, autoflush=False, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        await transaction.rollback()


@pytest.fixture
async def session(session_factory: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """A session to prepare and inspect rows. `database` sees its writes without a commit."""
    async with session_factory() as session:
        yield session


@pytest.fixture
def database(session_factory: async_sessionmaker[AsyncSession]) -> Database:
    return RolledBackDatabase(session_factory)


@pytest.fixture
def clean_database(databases: Databases, worker_name: str) -> Iterator[str]:
    """The URL of a new copy of the template, for a test that commits."""
    with databases.new(f"{worker_name}_clean") as url:
        yield url


@pytest.fixture
async def clean_engine(clean_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine for tests that commit or need two connections."""
    engine = create_engine(settings_of(clean_database))
    yield engine
    await engine.dispose()
