"""What a worker of the embeddings queue imports for its stores."""

import subprocess
import sys

import pytest

BUILD = """
import sys
import worker
from workflows.engine.vector_stores import VectorStores, WeaviateSettings

VectorStores(None, WeaviateSettings(), None)
print("weaviate" in sys.modules)
"""


@pytest.mark.parametrize(("url", "imported"), [("", "False"), ("http://127.0.0.1:9", "True")])
def test_only_stores_with_weaviate_import_its_client(url: str, imported: str) -> None:
    environment = {"PYTHONPATH": ".", "WEAVIATE_URL": url}

    done = subprocess.run([sys.executable, "-c", BUILD], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == imported
