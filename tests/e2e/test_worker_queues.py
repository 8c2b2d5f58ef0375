"""A worker of some queues loads only what those queues need."""

import pytest

from deploy.local.ports import HOST, free_port
from tests.support.deployment import START_TIMEOUT_S, Deployment, Server

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

HEAVY = {"onnxruntime", "openai", "sentence_transformers", "sklearn", "tokenizers", "torch", "weaviate"}


@pytest.fixture
def light(deployment: Deployment) -> Server:
    queues = "assessments,llm,webhooks"
    command = ("-X", "importtime", "worker.py", "--queues", queues)
    own = {"ESSAY_GRADER": "local", "WORKER_METRICS_ADDRESS": f"{HOST}:{free_port()}"}
    return Server("light-worker", command, deployment.environment | own, deployment.logs)


def test_only_a_worker_of_embeddings_imports_a_model(light: Server) -> None:
    process = light.launch()
    try:
        process.wait_until(lambda: "worker_ready" in light.log.read_text(), timeout_s=START_TIMEOUT_S)
        lines = [line for line in light.log.read_text().splitlines() if line.startswith("import time:")]
    finally:
        light.stop()

    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "temporalio" in imported
    assert imported & HEAVY == set()
