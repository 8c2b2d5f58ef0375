"""The commands of docs/runbooks/async-processing.md work on runs in the described states."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from deploy.local.ports import HOST, free_port
from deploy.local.settings import CHECKOUT
from tests.support.deployment import ADMIN, Deployment, Json, eventually, frozen, libpq
from tests.support.student_client import Attempt

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

RUNBOOK = (CHECKOUT / "docs" / "runbooks" / "async-processing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run ?(\w*) -->\s*```bash\n(.*?)```", RUNBOOK, re.DOTALL)
"""Blocks of commands with the state of their run. Blocks without a state work in any; the first one logs in."""
RUNNING = "ExecutionStatus = 'Running'"
KNOWN = ("API_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "ADMIN_EMAIL", "ADMIN_PASSWORD")


def follow(deployment: Deployment, state: str, **ids: str) -> str:
    """Run the commands for the state and return their output."""
    ((_, log_in), *rest) = BLOCKS
    commands = "\n".join([log_in, *(block for name, block in rest if name == state)])
    environment = {name: deployment.environment[name] for name in (*KNOWN, "HOME")}
    path = os.pathsep.join([str(Path(sys.executable).parent), deployment.environment["PATH"]])
    ran = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", commands],
        cwd=deployment.logs,
        env={**environment, "PATH": path, **ids},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def described(deployment: Deployment, workflow_id: str) -> Json:
    return deployment.temporal_command("workflow", "describe", "--workflow-id", workflow_id)


def is_running(deployment: Deployment, workflow_id: str) -> bool:
    found = deployment.temporal_command("workflow", "count", "--query", f"WorkflowId = '{workflow_id}' AND {RUNNING}")
    return str(found.get("count", "0")) != "0"


@pytest.fixture(scope="module")
def result(student: httpx.Client) -> Attempt:
    """An assessment whose result is published."""
    attempt = Attempt.start(student, "it-support-technician")
    attempt.submit()
    attempt.result()
    return attempt


@contextmanager
def locked(deployment: Deployment, attempt: Attempt) -> Iterator[None]:
    """Lock the assessment inside the block, so that no step can work on it."""
    with psycopg.connect(libpq(deployment.environment["DATABASE_URL"])) as connection:
        connection.execute("SELECT 1 FROM assessments WHERE id = %s FOR UPDATE", [attempt.id])
        yield
        connection.rollback()


def test_every_command_for_any_state_works(deployment: Deployment, result: Attempt) -> None:
    ((organization,),) = deployment.rows("SELECT organization_id FROM assessments WHERE id = %s", result.id)

    printed = follow(deployment, "", ASSESSMENT=result.id, ORGANIZATION=str(organization))

    assert f"assessment-{result.id}" in printed
    assert '"postgres":"up"' in printed
    assert "2.00 rps" in printed
    eventually(lambda: is_active(deployment, "reconciliation"))


def is_active(deployment: Deployment, schedule: str) -> bool:
    """Whether the Schedule is not paused. A busy server sometimes refuses to describe one."""
    try:
        described = deployment.temporal_command("schedule", "describe", "--schedule-id", schedule)
    except subprocess.CalledProcessError:
        return False
    return not described["schedule"]["state"].get("paused", False)


def test_a_signal_ends_the_pause_of_healing(deployment: Deployment, result: Attempt) -> None:
    healer = f"revision-{result.id}"
    deployment.rows("UPDATE assessments SET healing = 'due' WHERE id = %s RETURNING id", result.id)
    eventually(lambda: is_running(deployment, healer))

    follow(deployment, "healing", ASSESSMENT=result.id)

    eventually(lambda: not is_running(deployment, healer))
    history = deployment.temporal_command("workflow", "show", "--workflow-id", healer)["events"]
    kinds = [event["eventType"] for event in history]
    assert "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED" in kinds
    assert "EVENT_TYPE_TIMER_FIRED" not in kinds


def test_stopped_healing_can_be_made_due_again(deployment: Deployment, result: Attempt) -> None:
    eventually(lambda: not is_running(deployment, f"revision-{result.id}"))
    deployment.rows("UPDATE assessments SET healing = 'stopped' WHERE id = %s RETURNING id", result.id)

    assert '"healing":"due"' in follow(deployment, "stopped", ASSESSMENT=result.id)

    ended = "SELECT 1 FROM assessments WHERE id = %s AND healing = 'final'"  # a run started and found nothing to heal
    eventually(lambda: deployment.rows(ended, result.id))


def test_a_stuck_step_is_paused_updated_and_reset(deployment: Deployment, student: httpx.Client) -> None:
    attempt = Attempt.start(student, "digital-marketing-specialist")
    run = f"assessment-{attempt.id}"

    def pending() -> Json:
        return next(iter(described(deployment, run).get("pendingActivities", [])), {})

    with ExitStack() as until_corrected:
        with frozen(deployment.worker.process):
            attempt.submit().raise_for_status()
            until_corrected.enter_context(locked(deployment, attempt))
        ids = {"ASSESSMENT": attempt.id, "ACTIVITY": eventually(pending)["activityId"]}
        follow(deployment, "stuck", **ids)
        assert pending()["paused"]
        follow(deployment, "paused", **ids)
        assert not pending().get("paused", False)
        assert pending()["activityOptions"]["startToCloseTimeout"] == "60s"
        follow(deployment, "mended", **ids)
        assert pending()["activityOptions"]["startToCloseTimeout"] == "10s"
    eventually(lambda: deployment.status(attempt.id) == "completed")


def test_a_failed_assessment_is_corrected_and_run_again(deployment: Deployment, student: httpx.Client) -> None:
    attempt = Attempt.start(student, "backend-developer")
    stored = "SELECT id, answer FROM assessment_responses WHERE assessment_id = %s ORDER BY id LIMIT 1"
    correct = "UPDATE assessment_responses SET answer = %s WHERE id = %s RETURNING id"
    with frozen(deployment.worker.process):
        attempt.submit().raise_for_status()
        ((response, answer),) = deployment.rows(stored, attempt.id)
        deployment.rows(correct, Jsonb({"not": "an answer"}), response)
    eventually(lambda: deployment.status(attempt.id) == "failed")

    failed = follow(deployment, "failed", ASSESSMENT=attempt.id)
    deployment.rows(correct, Jsonb(answer), response)
    follow(deployment, "corrected", ASSESSMENT=attempt.id, SINCE="2026-01-01T00:00:00Z")

    assert attempt.id in failed
    assert "CorruptData: CORRUPT_DATA_500: The answer to item " in failed
    assert f"POST /api/v1/assessments/{attempt.id}/rerun" in failed
    eventually(lambda: deployment.status(attempt.id) == "completed")


def test_a_reset_run_finds_its_published_result(deployment: Deployment, result: Attempt) -> None:
    before = described(deployment, f"assessment-{result.id}")["workflowExecutionInfo"]["execution"]["runId"]

    follow(deployment, "anew", ASSESSMENT=result.id)

    def is_reset() -> bool:
        latest = described(deployment, f"assessment-{result.id}")["workflowExecutionInfo"]
        done: bool = latest["status"] == "WORKFLOW_EXECUTION_STATUS_COMPLETED"
        return done and latest["execution"]["runId"] != before

    eventually(is_reset)


def test_a_delivery_is_sent_now_given_up_and_redelivered(deployment: Deployment, student: httpx.Client) -> None:
    admin = deployment.log_in(ADMIN)
    wanted = {"url": f"http://{HOST}:{free_port()}/", "event_types": ["assessment.completed"]}
    endpoint = admin.post("/webhooks/endpoints", json=wanted).raise_for_status().json()["endpoint_id"]

    def deliveries() -> list[tuple[UUID, UUID, str, int]]:
        what = "SELECT id, event_id, status, attempts FROM webhook_deliveries WHERE endpoint_id = %s ORDER BY n"
        return deployment.rows(what, endpoint)

    try:
        attempt = Attempt.start(student, "data-analyst")
        attempt.submit()
        attempt.result()
        ((delivery, event, *_),) = eventually(deliveries)
        since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        ids = {"DELIVERY": str(delivery), "EVENT": str(event), "ENDPOINT": endpoint, "SINCE": since}
        eventually(lambda: deliveries() == [(delivery, event, "pending", 2)])  # the third is five minutes away

        assert ids["DELIVERY"] in follow(deployment, "pending", **ids)
        eventually(lambda: deliveries() == [(delivery, event, "pending", 3)])
        follow(deployment, "hopeless", **ids)
        eventually(lambda: deliveries() == [(delivery, event, "dead_letter", 3)])
        follow(deployment, "dead", **ids)
        assert [status for _, of, status, _ in deliveries() if of == event] == ["dead_letter", "pending"]
    finally:
        admin.delete(f"/webhooks/endpoints/{endpoint}")


def test_every_state_of_the_runbook_is_tested() -> None:
    tested = set(re.findall(r'follow\(\s*deployment, "(\w*)"', Path(__file__).read_text(encoding="utf-8")))

    assert {name for name, _ in BLOCKS} == tested
