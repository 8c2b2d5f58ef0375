"""Every acknowledged assessment is completed exactly once, also if a process is killed."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.faults.injection import Gate, assert_done_once, storing_output
from tests.support.deployment import CLASSMATES, STUDENT, Deployment, eventually, frozen, kill
from tests.support.student_client import ROLES, Attempt, response_to

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

STEPS = ("score_rules", "score_essay", "retrieve_evidence", "blend_recommendations", "publish_result")
CLOSED = "WORKFLOW_EXECUTION_STATUS_COMPLETED"


def test_a_submission_while_temporal_is_down_runs_after_it_recovers(deployment: Deployment) -> None:
    kill(deployment.temporal.process)
    attempt = Attempt.start(deployment.log_in())
    eventually(lambda: deployment.readiness()["temporal"] == "down")  # readiness is cached for 2 s
    readiness = deployment.readiness()

    submitted = attempt.submit()
    deployment.temporal.start()

    assert (submitted.status_code, submitted.json()["async_job_enqueued"]) == (202, True)
    assert (readiness["status"], readiness["temporal"]) == ("ready", "down")
    assert attempt.result()["revision"] == 1
    assert_done_once(deployment, [attempt])


def test_an_api_killed_between_commit_and_start_loses_nothing(deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in())
    with ThreadPoolExecutor() as threads, frozen(deployment.temporal.process):
        submission = threads.submit(attempt.submit)
        eventually(lambda: deployment.status(attempt.id) == "awaiting_async")
        deployment.api.kill()
        kill(deployment.temporal.process)  # discards a start that it may have received
        with pytest.raises(httpx.TransportError):
            submission.result()

    deployment.temporal.start()
    deployment.start_api()

    assert attempt.result()["revision"] == 1
    assert_done_once(deployment, [attempt])


def test_an_open_assessment_has_no_run_and_a_sweep_submits_it_when_its_time_is_over(deployment: Deployment) -> None:
    student = deployment.log_in()
    answered, unanswered = (Attempt.start(student, role) for role in ROLES[:2])
    answered.send([response_to(answered.questions[0])])
    runs = deployment.temporal_command("workflow", "count", "--query", "WorkflowType = 'AssessmentWorkflow'")

    deployment.api.kill()  # so that no request submits it
    deployment.rows("UPDATE assessments SET expires_at = now() RETURNING id")

    eventually(lambda: deployment.status(answered.id) == "completed")
    eventually(lambda: deployment.status(unanswered.id) == "failed")
    assert str(runs.get("count", "0")) == "0"
    assert_done_once(deployment, [answered])


def test_the_run_that_an_earlier_release_started_continues_with_the_submission(deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in())
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    wanted = json.dumps({"assessment_id": attempt.id, "expires_at": tomorrow.isoformat()})
    started = deployment.temporal_command(
        *("workflow", "start", "--type", "AssessmentWorkflow", "--task-queue", "assessments"),
        *("--workflow-id", f"assessment-{attempt.id}", "--input", wanted),
    )

    attempt.submit()

    assert attempt.result()["revision"] == 1
    eventually(lambda: deployment.run_status(attempt.id) == CLOSED)
    described = deployment.temporal_command("workflow", "describe", "--workflow-id", f"assessment-{attempt.id}")
    assert described["workflowExecutionInfo"]["execution"]["runId"] == started["runId"]
    assert_done_once(deployment, [attempt])


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_before_a_step_is_stored_is_replaced_by_the_next(step: str, deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in())
    with Gate(deployment, storing_output(step)) as gate:
        attempt.submit()
        gate.wait_for_waiters()
        deployment.worker.kill()

    deployment.start_worker()

    assert attempt.result()["revision"] == 1
    eventually(lambda: deployment.run_status(attempt.id) == CLOSED)
    assert_done_once(deployment, [attempt])


def test_a_worker_finishes_its_current_step_on_sigterm(deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in())
    with ThreadPoolExecutor() as threads:
        with Gate(deployment, storing_output("publish_result")) as gate:
            attempt.submit()
            gate.wait_for_waiters()
            stopped = threads.submit(deployment.worker.stop)
            eventually(lambda: "worker_stopping" in deployment.worker.log.read_text())
        code = stopped.result()

    assert (code, deployment.status(attempt.id)) == (0, "completed")
    deployment.start_worker()
    eventually(lambda: deployment.run_status(attempt.id) == CLOSED)
    assert_done_once(deployment, [attempt])


def test_a_worker_killed_before_it_reports_what_it_published_publishes_once(deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in())
    with ExitStack() as until_killed:
        with Gate(deployment, storing_output("publish_result")) as gate:
            attempt.submit()
            gate.wait_for_waiters()
            until_killed.enter_context(frozen(deployment.temporal.process))
        eventually(lambda: deployment.status(attempt.id) == "completed")
        deployment.worker.kill()
        kill(deployment.temporal.process)  # discards a report that it may have received
    before = attempt.result()

    deployment.temporal.start()
    deployment.start_worker()

    eventually(lambda: deployment.run_status(attempt.id) == CLOSED)
    assert attempt.result() == before
    assert_done_once(deployment, [attempt])


def test_postgres_killed_during_a_run_only_delays_it(deployment: Deployment, postgres: EmbeddedPostgres) -> None:
    attempt = Attempt.start(deployment.log_in())
    with Gate(deployment, storing_output("score_essay")) as gate:
        attempt.submit()
        gate.wait_for_waiters()
        kill(postgres.process)
        readiness = deployment.readiness()
        postgres.start()

    assert readiness["status"] == "unavailable"
    assert attempt.result()["revision"] == 1
    assert_done_once(deployment, [attempt])


def test_temporal_killed_during_a_run_continues_from_its_file(deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in())
    with Gate(deployment, storing_output("score_essay")) as gate:
        attempt.submit()
        gate.wait_for_waiters()
        kill(deployment.temporal.process)

    deployment.temporal.start()

    assert attempt.result()["revision"] == 1
    eventually(lambda: deployment.run_status(attempt.id) == CLOSED)
    assert_done_once(deployment, [attempt])


def test_assessments_complete_after_temporal_lost_all_data(deployment: Deployment) -> None:
    student = deployment.log_in()
    finished, claimed, unclaimed, answering = (Attempt.start(student, role) for role in ROLES[:4])
    finished.submit()
    before = finished.result()
    answering.send([response_to(answering.questions[0])])
    with Gate(deployment, storing_output("score_essay")) as gate:
        claimed.submit()
        gate.wait_for_waiters()
        deployment.worker.kill()
    unclaimed.submit()
    kill(deployment.temporal.process)
    for file in deployment.temporal_file.parent.iterdir():
        file.unlink()

    deployment.temporal.start()
    deployment.start_worker()
    answered = answering.submit()  # starts a run; none is needed before

    assert answered.status_code == 202
    assert [each.result()["revision"] for each in (claimed, unclaimed, answering)] == [1, 1, 1]
    assert finished.result() == before
    assert_done_once(deployment, [finished, claimed, unclaimed, answering])


def test_twenty_assessments_survive_kills_at_random_moments(deployment: Deployment) -> None:
    chance = random.Random(20)
    people = [deployment.log_in(email) for email in (STUDENT, *CLASSMATES)]
    attempts = [Attempt.start(person, role) for person in people for role in ROLES]
    for attempt in attempts:
        assert attempt.submit().status_code == 202

    for _ in range(4):
        wait_for_jobs(deployment, chance.randint(1, 20))
        deployment.worker.kill()
        deployment.start_worker()

    assert [attempt.result(400)["revision"] for attempt in attempts] == [1] * 20
    assert_done_once(deployment, attempts)


def wait_for_jobs(deployment: Deployment, count: int) -> None:
    """Return after this many more jobs have succeeded."""
    query = "SELECT count(*) FROM async_jobs WHERE status = 'succeeded'"
    enough = deployment.rows(query)[0][0] + count
    eventually(lambda: deployment.rows(query)[0][0] >= enough)
