"""One deployment for the tests of this folder, with all features on. No test may kill its processes.

This folder is a package, so that the deployment stops after its last test and takes no CPU from later tests.
"""

from collections.abc import Iterator

import httpx
import pytest

from deploy.local.ports import HOST, free_port
from tests.support import model_server
from tests.support.collector import Collector, collector
from tests.support.databases import Databases
from tests.support.deployment import Deployment, seeded_database
from tests.support.model_server import ModelServer


@pytest.fixture(scope="package")
def spans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The spans that all processes of the deployment export."""
    with collector(tmp_path_factory.mktemp("spans") / "spans.txt") as running:
        yield running


@pytest.fixture(scope="package")
def deployment(
    databases: Databases, worker_name: str, spans: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deployment")
    with ModelServer() as model, seeded_database(databases, f"{worker_name}_e2e", directory) as url:
        environment = {
            "OPENAI_API_KEY": model_server.KEY,
            "OPENAI_BASE_URL": model.base_url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": spans.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",  # milliseconds
            "WORKER_METRICS_ADDRESS": f"{HOST}:{free_port()}",
        }
        with Deployment(directory, url, environment) as deployment:
            yield deployment


@pytest.fixture(scope="package")
def student(deployment: Deployment) -> httpx.Client:
    return deployment.log_in()
