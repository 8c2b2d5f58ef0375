"""After an erasure, no data of the user can be found, even after the database was restored."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import httpx
import psycopg
import pytest

from deploy.local.process import Program, run_to_end
from deploy.local.settings import CHECKOUT
from persistence.erasure_list import FileErasureList
from tests.faults.injection import Gate, storing_output
from tests.faults.restores import copy, without_processes
from tests.support import answers
from tests.support.databases import Databases
from tests.support.deployment import ADMIN, ADVISOR, START_TIMEOUT_S, Deployment, eventually, libpq, stored
from tests.support.markers import forms, found_in, tables_with
from tests.support.student_client import Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

PASSWORD = "a-password-of-somebody-who-leaves-4471"
EMAIL = f"email-marker-5518-{uuid4().hex[:6]}@example.org"
MARKERS = {
    "answers": "answer-marker-8821",
    "metadata": "metadata-marker-3390",
    "feedback": "feedback-marker-7702",
    "review": "review-marker-1145",
    "profile": "profile-marker-6634",
    "key": "key-marker-2917",
    "email": EMAIL,
    "password": PASSWORD,
}
ESSAY = " ".join(
    f"{MARKERS['answers']}: {sentence}"
    for sentence in (
        "First I count the rows per order after the join, because a payment in three parts shows it three times.",
        "Then I add up the order lines alone and compare both sums for every day of the last four weeks.",
        "I check that all loads arrived and look at the same holiday of last year before I blame the holiday.",
        "Finally I tell the team in two sentences what is known, what is not, and when they get checked numbers.",
    )
)


@dataclass(frozen=True)
class Leaver:
    """A user who has filled in every field that a user can write."""

    id: str
    http: httpx.Client
    attempt: Attempt


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": f"{MARKERS['key']}-{name}"}


def leaver(deployment: Deployment) -> Leaver:
    """Create an account of the demo organization and start an assessment."""
    admin = deployment.log_in(ADMIN)
    account = {"email": EMAIL, "password": PASSWORD, "role": "student"}
    made = admin.post("/users", json=account, headers={"Idempotency-Key": uuid4().hex})
    assert made.status_code == 201, made.text
    user_id = made.json()["user_id"]
    http = httpx.Client(base_url=admin.base_url, timeout=60, trust_env=False)
    deployment._people.append(http)
    token = http.post("/auth/token", data={"username": EMAIL, "password": PASSWORD}).raise_for_status().json()
    http.headers["Authorization"] = f"Bearer {token['access_token']}"
    with psycopg.connect(libpq(deployment.environment["DATABASE_URL"]), autocommit=True) as connection:
        profile = json.dumps({"name": MARKERS["profile"]})
        connection.execute("UPDATE users SET profile = %s WHERE id = %s", [profile, user_id])
    role_id = http.get("/roles").json()["items"][0]["role_id"]
    wanted = {"role_id": role_id, "metadata": {"note": MARKERS["metadata"]}}
    started = http.post("/assessments/start", json=wanted, headers=key("start"))
    assert started.status_code == 201, started.text
    return Leaver(user_id, http, Attempt(http, started.json()["assessment_id"], started.json()["questions"]))


def hand_in(person: Leaver) -> None:
    responses = [answers.response_to(question, ESSAY) for question in person.attempt.questions]
    body = {"responses": responses, "completed": True}
    sent = person.http.post(f"{person.attempt.path}/responses", json=body, headers=key("responses"))
    assert sent.status_code == 202, sent.text


def react(person: Leaver, deployment: Deployment) -> None:
    """Send the learner's feedback on the result and an advisor's review of an essay."""
    result = person.attempt.result()
    feedback = {"relevance_score": 4, "acceptance_status": "accepted", "comments": MARKERS["feedback"]}
    given = person.http.post(
        f"/recommendations/{result['recommendation_id']}/feedback", json=feedback, headers=key("feedback")
    )
    assert given.status_code == 201, given.text
    essay = next(each for each in person.attempt.questions if each["type"] == "essay")
    levels = {each["key"]: each["levels"][1]["name"] for each in essay["rubric"]["criteria"]}
    reviewed = deployment.log_in(ADVISOR).post(
        f"{person.attempt.path}/items/{essay['question_id']}/review",
        json={"levels": levels, "comment": MARKERS["review"]},
    )
    assert reviewed.status_code == 202, reviewed.text
    eventually(lambda: person.attempt.result()["revision"] > 1)


def erase(deployment: Deployment, person: Leaver) -> None:
    accepted = deployment.log_in(ADMIN).delete(f"/users/{person.id}")
    assert accepted.status_code == 202, accepted.text


def is_erased(deployment: Deployment, person: Leaver) -> Callable[[], bool]:
    return lambda: deployment.rows("SELECT status FROM users WHERE id = %s", person.id) == [("erased",)]


def assert_nowhere(deployment: Deployment, person: Leaver) -> None:
    """Check that no table, history or log contains a marker, and that the erasure list contains the user's id only."""
    eventually(is_erased(deployment, person))
    assert tables_with(deployment.environment["DATABASE_URL"], list(MARKERS.values())) == {}
    assert histories_with(deployment) == {}
    kept = stored(deployment.temporal_file).lower()
    assert [each for each in MARKERS.values() for form in forms(each) if form.lower().encode() in kept] == []
    logs = {
        path.name: found_in(path.read_text(encoding="utf-8"), MARKERS.values()) for path in deployment.logs.iterdir()
    }
    assert {name: found for name, found in logs.items() if found} == {}
    assert [str(each) for each in FileErasureList(deployment.logs.parent / "erasures").read()] == [person.id]


def histories_with(deployment: Deployment) -> dict[str, list[str]]:
    """Return the markers by workflow: in descriptions, and in histories as JSON with payloads in base64."""
    command = [sys.executable, "-m", "tests.faults.all_histories", deployment.temporal.address]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT).stdout.splitlines()
    runs = [(line.partition("\t")[0], found_in(line, MARKERS.values())) for line in lines]
    assert any(name.startswith("erase-") for name, _ in runs)
    return {name: markers for name, markers in runs if markers}


def reapply(deployment: Deployment) -> None:
    program = Program(
        name="reapply",
        command=(sys.executable, "-m", "persistence.reapply_erasures"),
        log=deployment.logs / "reapply.log",
        env=deployment.environment,
        cwd=CHECKOUT,
    )
    run_to_end(program, timeout_s=START_TIMEOUT_S)


def test_no_data_of_an_erased_user_is_found_even_after_a_restore(
    deployment: Deployment, seeded_template: tuple[Databases, str]
) -> None:
    databases, url = seeded_template[0], deployment.environment["DATABASE_URL"]
    name, dump = url.rpartition("/")[2], f"dump_{uuid4().hex}"
    person = leaver(deployment)
    hand_in(person)
    react(person, deployment)
    there = tables_with(url, list(MARKERS.values()))
    assert {marker for found in there.values() for marker in found} == {*MARKERS.values()} - {PASSWORD}

    with without_processes(deployment):
        copy(databases, name, dump)
    erase(deployment, person)
    assert_nowhere(deployment, person)

    with without_processes(deployment):
        copy(databases, dump, name)
        assert tables_with(url, list(MARKERS.values())) == there
        reapply(deployment)
    assert_nowhere(deployment, person)


def test_an_erasure_during_processing_leaves_no_data(deployment: Deployment) -> None:
    person = leaver(deployment)
    with ThreadPoolExecutor(1) as threads:
        with Gate(deployment, storing_output("retrieve_evidence")) as gate:
            hand_in(person)
            gate.wait_for_waiters()
            # The step's transaction locks the user's row, so the erasure request waits.
            erasing = threads.submit(erase, deployment, person)
        erasing.result()
    assert_nowhere(deployment, person)


def test_an_erasure_completes_after_every_process_was_killed(deployment: Deployment) -> None:
    person = leaver(deployment)
    hand_in(person)
    person.attempt.result()
    deployment.worker.kill()
    erase(deployment, person)
    deployment.api.kill()

    deployment.start_api()
    deployment.start_worker()

    assert_nowhere(deployment, person)
