"""After a long outage of a server, everything acknowledged is completed within a minute, without an operator.

These tests run with the production interval of the sweeps. They need 15 minutes, so `make test-load` runs them.
"""

import time
from contextlib import ExitStack

import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.faults.injection import Gate, assert_done_once, storing_output
from tests.support.deployment import CLASSMATES, STUDENT, Deployment, kill
from tests.support.student_client import ROLES, Attempt

pytestmark = [pytest.mark.load, pytest.mark.timeout(1800)]

STEPS = ("score_rules", "score_essay", "retrieve_evidence", "blend_recommendations", "publish_result")
TEMPORAL_AWAY_S = 600.0
POSTGRES_AWAY_S = 120.0
DRAINED_WITHIN_S = 60.0


@pytest.fixture
def environment() -> dict[str, str]:
    return {"WORKER_RECONCILE_EVERY_S": "60"}


def test_hand_ins_during_ten_minutes_without_temporal_are_graded_within_a_minute_of_its_return(
    deployment: Deployment,
) -> None:
    people = [deployment.log_in(email) for email in (STUDENT, *CLASSMATES)]
    attempts = [Attempt.start(person, role) for person in people for role in ROLES]
    kill(deployment.temporal.process)
    began = time.monotonic()

    for number, attempt in enumerate(attempts):
        time.sleep(max(0.0, began + number * TEMPORAL_AWAY_S / len(attempts) - time.monotonic()))
        assert attempt.submit().status_code == 202
    time.sleep(max(0.0, began + TEMPORAL_AWAY_S - time.monotonic()))
    deployment.temporal.start()
    assert_completed_in_time(attempts)

    assert_done_once(deployment, attempts)


def test_every_step_continues_after_two_minutes_without_postgres(
    deployment: Deployment, postgres: EmbeddedPostgres
) -> None:
    student = deployment.log_in()
    attempts = [Attempt.start(student, role) for role in ROLES]
    with ExitStack() as gates:
        for attempt, step in zip(attempts, STEPS, strict=True):
            gate = gates.enter_context(Gate(deployment, storing_output(step, attempt.id)))
            attempt.submit()
            gate.wait_for_waiters()
        kill(postgres.process)
        time.sleep(POSTGRES_AWAY_S)
    postgres.start()
    assert_completed_in_time(attempts)

    assert_done_once(deployment, attempts)


def assert_completed_in_time(attempts: list[Attempt]) -> None:
    """Check that all results appear within DRAINED_WITHIN_S, and print after how many seconds each one did."""
    began = time.monotonic()
    seconds = []
    for attempt in attempts:
        result = attempt.result(max(0.0, began + DRAINED_WITHIN_S - time.monotonic()))
        assert result["revision"] == 1
        seconds.append(round(time.monotonic() - began, 1))
    print("seconds until each result:", seconds)  # noqa: T201
