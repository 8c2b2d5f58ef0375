"""Postgres at an earlier state than Temporal, or Temporal without its data: all acknowledged work is found again.

The tests do by hand what docs/runbooks/recovery.md tells an operator to do. `test_weaviate_faults` covers Weaviate
without its data; `test_erasure` covers users who were erased after the restored state.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from deploy.local.plan import ACCOUNTS
from tests.faults.injection import Gate, assert_done_once, storing_output
from tests.faults.recorder import Recorder
from tests.faults.restores import copy, without_processes
from tests.persistence.catalogues import an_entry
from tests.support import model_server
from tests.support.databases import Databases
from tests.support.deployment import ADMIN, CLASSMATES, STUDENT, Deployment, Json, eventually, kill
from tests.support.model_server import ModelServer
from tests.support.student_client import ROLES, Attempt, response_to

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

PLATFORM_ADMIN = ACCOUNTS["PLATFORM_ADMIN"]
CLASSMATE, LEAVER, _ = CLASSMATES
RUNS = "WorkflowType = 'AssessmentWorkflow'"


@pytest.fixture
def environment(provider: ModelServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": model_server.KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_CIRCUIT_THRESHOLD": "100",
    }


@pytest.fixture
def partner(deployment: Deployment) -> Iterator[Recorder]:
    """A partner that receives every event of the demo organization's assessments."""
    with Recorder() as partner:
        wanted = {"url": partner.url, "event_types": ["assessment.completed", "assessment.updated"]}
        made = deployment.log_in(ADMIN).post("/webhooks/endpoints", json=wanted)
        assert made.status_code == 201, made.text
        yield partner


def now() -> str:
    """Return the current time in the format of a Temporal query."""
    return datetime.now(UTC).isoformat()


def listed(deployment: Deployment, query: str) -> list[Json]:
    found: Any = deployment.temporal_command("workflow", "list", "--query", query, "--limit", "1000")
    return [dict(run) for run in found]


def ids(runs: list[Json]) -> set[str]:
    return {run["execution"]["workflowId"].removeprefix("assessment-") for run in runs}


def students(runs: list[Json]) -> set[str]:
    """Return the ids of the students whose runs these are."""
    attributes = [run["searchAttributes"]["indexedFields"]["StudentId"]["data"] for run in runs]
    return {json.loads(base64.b64decode(each)) for each in attributes}


def person(deployment: Deployment, email: str) -> str:
    [(id_,)] = deployment.rows("SELECT id FROM users WHERE email = %s", email)
    return str(id_)


def first_event(deployment: Deployment, attempt: Attempt) -> UUID:
    """Return the id of the event of the attempt's first result."""
    query = "SELECT id FROM webhook_events WHERE assessment_id = %s AND event_type = 'assessment.completed'"
    [(event_id,)] = deployment.rows(query, attempt.id)
    return UUID(str(event_id))


def test_a_restore_redoes_work_up_to_its_point_and_later_work_can_be_listed(
    deployment: Deployment, seeded_template: tuple[Databases, str], provider: ModelServer, partner: Recorder
) -> None:
    databases, name, dump = (
        seeded_template[0],
        deployment.environment["DATABASE_URL"].rpartition("/")[2],
        f"d_{uuid4().hex}",
    )
    student, other = deployment.log_in(STUDENT), deployment.log_in(CLASSMATE)
    published, published_later, half_done, answering = (Attempt.start(student, role) for role in ROLES[:4])
    published.submit()
    before = published.result()
    answering.send([response_to(answering.questions[0])])
    deployment.worker.kill()
    assert {each.submit().status_code for each in (published_later, half_done)} == {202}
    with ExitStack() as until_lost:
        with without_processes(deployment):
            copy(databases, name, dump)
            gate = until_lost.enter_context(Gate(deployment, storing_output("blend_recommendations", half_done.id)))
        point = now()
        published_later.result()
        gate.wait_for_waiters()
        answering.submit()
        answering.result()
        begun_later, finished_later = Attempt.start(student, ROLES[4]), Attempt.start(other)
        finished_later.submit()
        finished_later.result()
        event = first_event(deployment, published_later)
        eventually(lambda: partner.count(event) == 1)
        bought = Counter(asked.body for asked in provider.asked)

        deployment.worker.kill()
        begun_later.submit()  # its run is open when its row is lost
        failed_at = now()
        with without_processes(deployment):
            copy(databases, dump, name)
    wake(deployment)

    assert [each.result()["revision"] for each in (published_later, half_done)] == [1, 1]
    assert published.result() == before
    assert_done_once(deployment, [published, published_later, half_done])
    eventually(lambda: partner.count(event) == 2)
    again = Counter(asked.body for asked in provider.asked) - bought
    assert set(again.values()) == {1}
    eventually(lambda: ids(listed(deployment, f"{RUNS} AND FailureReason = 'NotFound'")) == {begun_later.id})
    eventually(lambda: ids(listed(deployment, f"{RUNS} AND FailureReason = 'Conflict'")) == {half_done.id})

    # The students to notify, from Temporal: runs that started or ended after the point and that Postgres lost.
    query = f"{RUNS} AND StartTime < '{failed_at}' AND (StartTime > '{point}' OR CloseTime > '{point}')"
    touched = listed(deployment, query)
    kept = {str(id_): status for id_, status in deployment.rows("SELECT id, status FROM assessments")}
    lost = {id_ for id_ in ids(touched) if kept.get(id_, "in_progress") == "in_progress"}
    assert lost == {begun_later.id, finished_later.id, answering.id}
    whose = students([run for run in touched if ids([run]) <= lost])
    assert whose == {person(deployment, STUDENT), person(deployment, CLASSMATE)}
    finished = {id_ for id_, status in kept.items() if status == "completed"}
    everything = {each.id for each in (published, published_later, half_done, answering, begun_later, finished_later)}
    assert finished | lost == everything
    assert answering.submit().status_code == 202
    assert answering.result()["revision"] == 1


def wake(deployment: Deployment) -> None:
    """Signal every open run to read its row now instead of at its deadline."""
    query = f"{RUNS} AND ExecutionStatus = 'Running'"
    arguments = ("--name", "submit", "--query", query, "--reason", "Postgres was restored", "--yes")
    deployment.temporal_command("workflow", "signal", *arguments)


def test_a_worker_completes_everything_from_postgres_after_temporal_lost_its_data(
    deployment: Deployment, provider: ModelServer, partner: Recorder
) -> None:
    student, admin, worker = deployment.log_in(), deployment.log_in(ADMIN), deployment.worker.process
    platform = deployment.log_in(PLATFORM_ADMIN)
    degraded, handed_in = (Attempt.start(student, role) for role in ROLES[:2])
    partner.otherwise = 500
    provider.refuse_connections()
    degraded.submit()
    assert degraded.result()["degraded"]
    event = first_event(deployment, degraded)
    eventually(lambda: partner.count(event) == 1)

    kill(deployment.temporal.process)
    acknowledged = (
        handed_in.submit(),
        platform.post("/catalog/imports", json={"credentials": [an_entry("K-1", hours=8)]}),
        admin.delete(f"/users/{person(deployment, LEAVER)}"),
    )
    for file in deployment.temporal_file.parent.iterdir():
        file.unlink()
    deployment.temporal.start()
    partner.otherwise = 200
    provider.accept_connections()

    assert [answer.status_code for answer in acknowledged] == [202, 201, 202]
    assert handed_in.result()["revision"] == 1
    eventually(lambda: partner.count(event) == 2)
    eventually(lambda: deployment.rows("SELECT FROM users WHERE status = 'erased'"))
    eventually(lambda: deployment.rows("SELECT FROM catalog_imports WHERE status = 'succeeded'"))
    eventually(lambda: not degraded.result()["degraded"])
    assert_done_once(deployment, [handed_in])
    assert_done_once(deployment, [degraded], revisions=2)
    assert worker is not None
    assert worker.exit_code is None
