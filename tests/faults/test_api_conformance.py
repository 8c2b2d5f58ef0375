"""The API conforms to its OpenAPI document: generated requests for every operation, by each role.

CI generates the same requests in every run, so that a change cannot fail because of a new seed. `make test-load` uses a
new seed every time and prints it.
"""

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from deploy.local.plan import ACCOUNTS
from tests.support.databases import Databases
from tests.support.deployment import ADMIN, Deployment
from tests.support.student_client import ROLES, Attempt

CASES = {"faults": ("--max-examples=12", "--seed=1"), "load": ("--max-examples=250",)}
"""Schemathesis options: the requests per operation and phase, some 20,000 in all in `make test-load`."""


@pytest.fixture(scope="module")
def shared_deployment(
    seeded_template: tuple[Databases, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    databases, name = seeded_template
    directory = tmp_path_factory.mktemp("conformance")
    with databases.new("conformance", name) as url, Deployment(directory, url) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def known_ids(shared_deployment: Deployment) -> dict[str, list[Any]]:
    """Create a result, an open assessment and a delivery. Return their ids by the names in the OpenAPI document."""
    student, admin = shared_deployment.log_in(), shared_deployment.log_in(ADMIN)
    finished, begun = Attempt.start(student), Attempt.start(student, ROLES[1])
    assert finished.submit().status_code == HTTPStatus.ACCEPTED
    result = finished.result()
    wanted = {"url": "http://127.0.0.1:1/hooks", "event_types": ["assessment.updated"]}
    endpoint = admin.post("/webhooks/endpoints", json=wanted).raise_for_status().json()["endpoint_id"]
    sent = admin.post(f"/webhooks/endpoints/{endpoint}/test").raise_for_status().json()
    cohort = admin.post("/cohorts", json={"name": "Spring 2026"}).raise_for_status().json()["cohort_id"]
    people = shared_deployment.rows(
        "SELECT id, organization_id FROM users WHERE email = ANY(%s)", list(ACCOUNTS.values())
    )
    return {
        "user_id": [str(user_id) for user_id, _ in people],
        "organization_id": sorted({str(organization_id) for _, organization_id in people if organization_id}),
        "assessment_id": [finished.id, begun.id],
        "question_id": [each["question_id"] for each in finished.questions + begun.questions],
        "role_id": [each["role_id"] for each in student.get("/roles").json()["items"]],
        "credential_id": [each["credential_id"] for each in student.get("/catalog/credentials").json()["items"]],
        "recommendation_id": [result["recommendation_id"]],
        "endpoint_id": [endpoint],
        "delivery_id": [sent["delivery_id"]],
        "cohort_id": [cohort],
    }


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in CASES])
@pytest.mark.parametrize("role", ACCOUNTS)
def test_answers_are_as_documented(
    role: str, size: str, shared_deployment: Deployment, known_ids: dict[str, list[Any]], tmp_path: Path
) -> None:
    caller = shared_deployment.log_in(ACCOUNTS[role])
    command = [
        str(Path(sysconfig.get_path("scripts")) / "schemathesis"),
        f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
        "run",
        f"{shared_deployment.api_url}/openapi.json",
        f"--header=Authorization:{caller.headers['Authorization']}",
        *CASES[size],
        "--checks=all",
        # a schema cannot express rejections because of a role, a state or an idempotency key
        "--exclude-checks=positive_data_acceptance",
        "--exclude-operation-id=stream_events",  # an open stream does not end; tests/api/test_progress_events.py
        "--continue-on-failure",
        "--output-sanitize=false",
        "--no-color",
        "--warnings=off",
    ]
    hooks = {
        "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("conformance_hooks.py")),
        "KNOWN_IDS": json.dumps(known_ids),
    }
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[done.stdout.find("====") :] + done.stderr
    assert caller.get("/me").status_code == HTTPStatus.OK, "the requests were those of nobody"
