"""Weaviate dies while students work: all get their results, which say what they were made without."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.process import Program, run_to_end
from deploy.local.settings import CHECKOUT
from deploy.local.weaviate import WeaviateServer
from tests.attempts import ROLES, Attempt
from tests.databases import Databases
from tests.deployment import CLASSMATES, START_TIMEOUT_S, STUDENT, Deployment, eventually, kill, stack_environment
from tests.faults.injection import Gate, assert_done_once, closing
from tests.vector_stores import a_weaviate

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

FALLBACK = "vector_store_fallback"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WeaviateServer]:
    with a_weaviate(tmp_path / "weaviate") as server:
        yield server


@pytest.fixture
def deployment(template: tuple[Databases, str], server: WeaviateServer, tmp_path: Path) -> Iterator[Deployment]:
    """With an index that holds the whole catalogue."""
    databases, name = template
    with databases.new("weaviate", name) as url:
        index = Program(
            name="index",
            command=(sys.executable, "-m", "deploy.local.embed"),
            log=tmp_path / "index.log",
            env=stack_environment(url) | server.client_environment,
            cwd=CHECKOUT,
        )
        run_to_end(index, timeout_s=START_TIMEOUT_S)
        with Deployment(tmp_path, url, server.client_environment) as deployment:
            yield deployment


def fell_back(attempt: Attempt) -> bool:
    return FALLBACK in attempt.result()["degraded_reasons"]


def test_assessments_complete_when_weaviate_is_killed_and_say_so(
    deployment: Deployment, server: WeaviateServer
) -> None:
    people = [deployment.log_in(email) for email in (STUDENT, *CLASSMATES[:2])]
    before, *running = [Attempt.start(person, role) for role in ROLES[:4] for person in people]
    before.submit()
    unharmed = fell_back(before)
    with Gate(deployment, closing("score_essay")) as gate:
        for attempt in running:
            assert attempt.submit().status_code == 202
        gate.wait_for_somebody()
        kill(server.process)

    assert [fell_back(attempt) for attempt in running] == [True] * 11
    assert not unharmed
    assert_done_once(deployment, [before])


def test_an_index_that_was_lost_is_built_again_without_anybody(deployment: Deployment, server: WeaviateServer) -> None:
    kill(server.process)
    shutil.rmtree(server.data_dir)
    server.start()
    lost, later = (Attempt.start(deployment.log_in(), role) for role in ROLES[:2])

    lost.submit()
    degraded = fell_back(lost)
    eventually(lambda: "index_build_finished" in deployment.worker.log.read_text())
    later.submit()

    assert degraded
    assert not fell_back(later)
