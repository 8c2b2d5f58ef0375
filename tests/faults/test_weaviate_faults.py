"""Weaviate dies while students work, or the worker while it fills Weaviate: no work is lost."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import httpx
import pytest

from activities.adapters.minilm.embedder import MiniLMEmbedder
from deploy.local.process import Program, run_to_end
from deploy.local.settings import CHECKOUT
from deploy.local.weaviate import WeaviateServer
from persistence.vectors.weaviate import Weaviate
from persistence.vectors.weaviate_schema import alias_of
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.faults.injection import Gate, Moment, assert_done_once
from tests.support.databases import Databases
from tests.support.deployment import (
    CLASSMATES,
    START_TIMEOUT_S,
    STUDENT,
    Deployment,
    Json,
    eventually,
    kill,
    stack_environment,
)
from tests.support.student_client import ROLES, Attempt
from tests.support.vector_stores import a_weaviate, settings_of_weaviate

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

FALLBACK = "vector_store_fallback"
RUNNING = 50
MADE_BY = (MiniLMEmbedder.provider, MiniLMEmbedder.model)
ALIAS = alias_of(*MADE_BY)
EMBEDDING_THE_SECOND_HALF = Moment(
    "embedding", "INSERT", "embedding_artifacts", "NEW.entity_id > '80000000-0000-0000-0000-000000000000'"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WeaviateServer]:
    with a_weaviate(tmp_path / "weaviate") as server:
        yield server


@pytest.fixture
def deployment(seeded_template: tuple[Databases, str], server: WeaviateServer, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose index contains the whole catalogue."""
    databases, name = seeded_template
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


def searched(deployment: Deployment, when: LiteralString, *parameters: object) -> set[str]:
    """Return the assessments whose first search for evidence matches `when`."""
    jobs: LiteralString = "SELECT assessment_id FROM async_jobs WHERE job_type = 'retrieve_evidence' AND revision = 1"
    return {str(id_) for (id_,) in deployment.rows(f"{jobs} AND {when}", *parameters)}


def degraded(deployment: Deployment) -> int:
    """Return the number of results that are degraded because Weaviate was unavailable."""
    query = "SELECT count(*) FROM recommendations WHERE %s = ANY (degraded_reasons)"
    return int(deployment.rows(query, FALLBACK)[0][0])


def test_assessments_degrade_without_weaviate_and_heal_when_it_recovers(
    deployment: Deployment, server: WeaviateServer
) -> None:
    people = [deployment.log_in(email) for email in (STUDENT, *CLASSMATES)]
    attempts = []
    for number in range(RUNNING):
        attempts.append(Attempt.start(people[number % len(people)], ROLES[number % len(ROLES)]))
        assert attempts[-1].submit().status_code == 202
    eventually(lambda: searched(deployment, "completed_at < now()"))
    kill(server.process)
    [(killed_at,)] = deployment.rows("SELECT clock_timestamp()")

    affected = [attempt for attempt in attempts if fell_back(attempt)]
    ids = {attempt.id for attempt in affected}
    assert searched(deployment, "started_at > %s", killed_at) <= ids
    assert not searched(deployment, "completed_at < %s", killed_at) & ids
    assert 0 < len(affected) < RUNNING
    server.start()
    eventually(lambda: degraded(deployment) == 0)
    assert_done_once(deployment, affected, revisions=2)
    assert_done_once(deployment, [attempt for attempt in attempts if attempt not in affected])


def test_a_lost_index_is_rebuilt_automatically(deployment: Deployment, server: WeaviateServer) -> None:
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
    eventually(lambda: not fell_back(lost))
    assert_done_once(deployment, [lost], revisions=2)
    assert_done_once(deployment, [later])


def test_the_index_matches_the_database_after_a_worker_was_killed_while_embedding(
    deployment: Deployment, server: WeaviateServer
) -> None:
    add_credentials(deployment, 4, embedded=False)
    with Gate(deployment, EMBEDDING_THE_SECOND_HALF) as gate:
        rebuild(deployment)
        gate.wait_for_waiters()
        kept = artifacts(deployment)
        deployment.worker.kill()
    deployment.start_worker()
    eventually(lambda: rebuilds(deployment) == 1)
    assert kept.items() <= artifacts(deployment).items()
    assert indexed(server) == searchable(deployment)

    add_credentials(deployment, 15, embedded=True)
    whole = len(searchable(deployment))
    rebuild(deployment)
    eventually(lambda: any(builds(server)))
    deployment.worker.kill()
    [half] = builds(server)
    withdraw(deployment)
    deployment.start_worker()
    seen: list[int] = []

    def ended() -> bool:
        seen.append(live(server))
        return rebuilds(deployment) == 2

    eventually(ended)

    assert 0 < half < whole
    assert min(seen) >= whole - 1
    assert indexed(server) == searchable(deployment)
    assert len(searchable(deployment)) == whole - 1
    assert builds(server) == []


def add_credentials(deployment: Deployment, copies: int, *, embedded: bool) -> None:
    """Add copies of each credential, as an import does; with `embedded`, with the originals' vectors."""
    deployment.rows(
        "WITH columns AS (SELECT * FROM credential_catalog WHERE key NOT LIKE '%% copy %%'),"
        " added AS (INSERT INTO credential_catalog (id, key, title, description, skills, level, hours, provider,"
        " source_uri, prerequisites, version, text_hash)"
        " SELECT gen_random_uuid(), key || ' copy ' || gen_random_uuid(), title, description, skills, level, hours,"
        " provider, source_uri, prerequisites, version, text_hash FROM columns, generate_series(1, %s)"
        " RETURNING id, key, text_hash)"
        " INSERT INTO embedding_artifacts (id, entity_type, entity_id, provider, model, text_hash, vector)"
        " SELECT gen_random_uuid(), entity_type, added.id, made.provider, made.model, made.text_hash, vector"
        " FROM added JOIN columns ON columns.key = split_part(added.key, ' copy ', 1)"
        " JOIN embedding_artifacts AS made ON made.entity_id = columns.id WHERE %s RETURNING id",
        copies,
        embedded,
    )


def withdraw(deployment: Deployment) -> None:
    """Deactivate a credential, as an import without it does."""
    deployment.rows(
        "UPDATE credential_catalog SET active = false"
        " WHERE id = (SELECT id FROM credential_catalog WHERE active ORDER BY id LIMIT 1) RETURNING id"
    )


def rebuild(deployment: Deployment) -> None:
    deployment.temporal_command("schedule", "trigger", "--schedule-id", "catalog-embedding-weekly")


def rebuilds(deployment: Deployment) -> int:
    """Return how many runs of the Schedule have succeeded."""
    query = "WorkflowType='CatalogEmbeddingWorkflow' AND ExecutionStatus='Completed'"
    return int(deployment.temporal_command("workflow", "count", "--query", query).get("count", 0))


def artifacts(deployment: Deployment) -> dict[UUID, object]:
    """Return the creation time of each vector."""
    return dict(deployment.rows("SELECT entity_id, created_at FROM embedding_artifacts"))


def searchable(deployment: Deployment) -> dict[UUID, UUID]:
    """Return the artifact of each credential that an index must contain."""
    return dict(
        deployment.rows(
            "SELECT credential.id, artifact.id FROM credential_catalog AS credential"
            " JOIN embedding_artifacts AS artifact ON entity_id = credential.id AND artifact.text_hash ="
            " credential.text_hash WHERE active"
        )
    )


def indexed(server: WeaviateServer) -> dict[UUID, UUID]:
    async def read() -> dict[UUID, UUID]:
        async with Weaviate(settings_of_weaviate(server.client_environment)) as weaviate:
            return await WeaviateIndexWriter(weaviate, *MADE_BY).entries()

    return asyncio.run(read())


def live(server: WeaviateServer) -> int:
    """Return how many entries a search can find now."""
    return count(server, ALIAS)


def builds(server: WeaviateServer) -> list[int]:
    """Return the number of entries in each collection that is not live."""
    searched = ask(server, f"aliases/{ALIAS}")["class"]
    names = [each["class"] for each in ask(server, "schema")["classes"]]
    return [count(server, name) for name in names if name != searched]


def count(server: WeaviateServer, collection: str) -> int:
    query = {"query": f"{{ Aggregate {{ {collection} {{ meta {{ count }} }} }} }}"}
    return int(ask(server, "graphql", query)["data"]["Aggregate"][collection][0]["meta"]["count"])


def ask(server: WeaviateServer, path: str, body: Json | None = None) -> Json:
    headers = {"Authorization": f"Bearer {server.client_environment['WEAVIATE_API_KEY']}"}
    method = "GET" if body is None else "POST"
    answer = httpx.request(method, f"{server.url}/v1/{path}", json=body, headers=headers, timeout=30, trust_env=False)
    found: Json = answer.raise_for_status().json()
    return found
