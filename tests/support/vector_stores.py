"""Weaviate for tests: the one that WEAVIATE_URL names, or one of our own for the run; skipped where neither is."""

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
from persistence.vectors.weaviate import WeaviateSettings

NONE_TO_BE_HAD = "Weaviate cannot be had: `make weaviate` obtains it, WEAVIATE_URL names another one"


@contextmanager
def weaviate_for_tests() -> Iterator[dict[str, str]]:
    """What a client is set with; empty where no server can be had."""
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
    """A server of the test's own, not started yet."""
    program = program or weaviate_server() or none_to_be_had()
    return WeaviateServer(program, directory / "data", (free_port(), free_port()), log=directory / "weaviate.log")


def settings_of_weaviate(environment: Mapping[str, str]) -> WeaviateSettings:
    values = {name.removeprefix("WEAVIATE_").lower(): value for name, value in environment.items()}
    return WeaviateSettings.model_validate(values)


def none_to_be_had() -> NoReturn:
    """Skips the test, or fails it where REQUIRE_WEAVIATE says that it must not be left out."""
    if os.environ.get("REQUIRE_WEAVIATE"):
        pytest.fail(NONE_TO_BE_HAD)
    pytest.skip(NONE_TO_BE_HAD)
