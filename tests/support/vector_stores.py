"""Provide Weaviate for tests: the server at WEAVIATE_URL, or one that the run starts. Without both, skip the test."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.local.ports import free_port
from deploy.local.settings import weaviate_server
from deploy.local.weaviate import WeaviateServer
from persistence.vectors.weaviate_settings import WeaviateSettings

NO_WEAVIATE = "No Weaviate server: install one with `make weaviate` or set WEAVIATE_URL"


@contextmanager
def weaviate_for_tests() -> Iterator[dict[str, str]]:
    """Yield the environment variables of a client, or nothing if no server is available."""
    if os.environ.get("WEAVIATE_URL"):
        yield {name: value for name, value in os.environ.items() if name.startswith("WEAVIATE_")}
    elif (program := weaviate_server()) is None:
        yield {}
    else:
        directory = Path(tempfile.mkdtemp(prefix="microcred-weaviate-"))
        try:
            with a_weaviate(directory, program) as server:
                yield server.client_environment
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def a_weaviate(directory: Path, program: Path | None = None) -> WeaviateServer:
    """Return a server of the test's own, not yet started."""
    program = program or weaviate_server() or skip_without_weaviate()
    return WeaviateServer(program, directory / "data", (free_port(), free_port()), log=directory / "weaviate.log")


def settings_of_weaviate(environment: Mapping[str, str]) -> WeaviateSettings:
    values = {name.removeprefix("WEAVIATE_").lower(): value for name, value in environment.items()}
    return WeaviateSettings.model_validate(values)


def skip_without_weaviate() -> NoReturn:
    """Skip the test, or fail it if REQUIRE_WEAVIATE is set."""
    if os.environ.get("REQUIRE_WEAVIATE"):
        pytest.fail(NO_WEAVIATE)
    pytest.skip(NO_WEAVIATE)
