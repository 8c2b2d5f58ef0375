"""One deployment for all tests: nothing here kills what others use."""

from collections.abc import Iterator

import httpx
import pytest

from tests.databases import Databases
from tests.deployment import Deployment, furnished


@pytest.fixture(scope="session")
def deployment(databases: Databases, worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deployment")
    with furnished(databases, f"{worker}_e2e", directory) as url, Deployment(directory, url) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def student(deployment: Deployment) -> httpx.Client:
    return deployment.log_in()
