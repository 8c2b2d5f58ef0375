"""Provide a PostgreSQL server that a test may kill, and deployments on copies of one seeded database.

Seeding needs a model and takes about twenty seconds, so it happens once. A test that kills the server restarts it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from tests.support.databases import Databases
from tests.support.deployment import Deployment, seeded_database
from tests.support.model_server import ModelServer


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A durable server: acknowledged writes must survive its kill."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), free_port()) as server:
        yield server


@pytest.fixture(scope="session")
def seeded_template(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Databases, str]]:
    """The server's databases and the name of the seeded one, which tests copy."""
    databases = Databases(postgres.url)
    databases.make_template()
    with seeded_database(databases, "seeded", tmp_path_factory.mktemp("template")) as url:
        yield databases, url.rpartition("/")[2]


@pytest.fixture
def provider() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def environment() -> dict[str, str]:
    """Environment variables in addition to the default ones. Test modules override this fixture."""
    return {}


@pytest.fixture
def deployment(
    seeded_template: tuple[Databases, str], tmp_path: Path, environment: dict[str, str]
) -> Iterator[Deployment]:
    databases, name = seeded_template
    with databases.new("faults", name) as url, Deployment(tmp_path, url, environment) as deployment:
        yield deployment
