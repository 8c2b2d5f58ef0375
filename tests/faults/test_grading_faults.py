"""A language model grades essays: no completion is paid for twice, and provider faults block no result."""

from contextlib import ExitStack
from typing import Any

import pytest

from domain.grading.scores import DegradedReason
from tests.faults.injection import RESERVING_A_CALL, STORING_A_REPLY, Gate, Moment, storing_output
from tests.support import fake_completions, model_server
from tests.support.deployment import ADVISOR, CLASSMATES, STUDENT, Deployment, eventually, frozen, kill
from tests.support.model_server import ModelServer
from tests.support.student_client import ROLES, Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

CRASHED_ESSAYS = 100
TIMEOUT_S = 4
"""The timeout of a call. Its reservation lasts 5 s longer; a killed worker's call blocks the essay that long."""
CIRCUIT_THRESHOLD = 5


@pytest.fixture
def environment(provider: ModelServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": model_server.KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_TIMEOUT_S": str(TIMEOUT_S),
        "OPENAI_CIRCUIT_THRESHOLD": str(CIRCUIT_THRESHOLD),
        "ESSAY_ATTEMPTS_PER_DAY": "1000",
    }


def handed_in(deployment: Deployment, number: int) -> list[Attempt]:
    """Submit attempts with two essays each, for all students and roles in turn."""
    people = [deployment.log_in(email) for email in (STUDENT, *CLASSMATES)]
    attempts = []
    for place in range(number):
        attempt = Attempt.start(people[place % len(people)], ROLES[place // len(people) % len(ROLES)])
        assert attempt.submit().status_code == 202
        attempts.append(attempt)
    return attempts


def in_flight(deployment: Deployment) -> int:
    """Return the number of reserved calls without a reply."""
    return int(deployment.rows("SELECT count(*) FROM model_answers WHERE status = 'intended'")[0][0])


def healed(attempt: Attempt) -> dict[str, Any]:
    return eventually(lambda: attempt.result() if attempt.result()["revision"] > 1 else {})


def test_a_worker_killed_around_a_call_pays_for_no_completion_twice(
    deployment: Deployment, provider: ModelServer
) -> None:
    """Kill before the call, after the reply, after storing the reply without a score, and after storing the score."""
    attempts = handed_in(deployment, 1)
    per_attempt = len([each for each in attempts[0].questions if each["answer_format"]["kind"] == "text"])
    moments: tuple[Moment, ...] = (RESERVING_A_CALL, STORING_A_REPLY, storing_output("score_essay"))
    lost = 0
    for moment in moments:
        with Gate(deployment, moment) as gate:
            attempts += handed_in(deployment, CRASHED_ESSAYS // per_attempt // 4)
            gate.wait_for_waiters()
            lost += in_flight(deployment)
            deployment.worker.kill()
        deployment.start_worker()
        for attempt in attempts:
            attempt.result()  # an essay that loses three workers is left to a reviewer
    with ExitStack() as until_killed:
        with Gate(deployment, storing_output("score_essay")) as gate:
            attempts += handed_in(deployment, CRASHED_ESSAYS // per_attempt - len(attempts))
            gate.wait_for_waiters()
            until_killed.enter_context(frozen(deployment.temporal.process))
        eventually(
            lambda: deployment.rows(
                "SELECT FROM async_jobs WHERE job_type = 'score_essay'"
                " AND status = 'succeeded' AND completed_at > now() - interval '5 s'"
            )
        )
        lost += in_flight(deployment)
        deployment.worker.kill()
        kill(deployment.temporal.process)
    deployment.temporal.start()
    deployment.start_worker()

    results = [attempt.result() for attempt in attempts]

    essays = len(attempts) * per_attempt
    scores = deployment.rows("SELECT question_snapshot_id, model FROM essay_scores")
    answers = deployment.rows("SELECT question_snapshot_id FROM model_answers WHERE status = 'answered'")
    assert essays == CRASHED_ESSAYS
    assert [result["degraded"] for result in results] == [False] * len(attempts)
    assert len({snapshot for snapshot, _ in scores}) == len(scores) == essays
    assert {model for _, model in scores} == {fake_completions.MODEL}
    assert len(answers) == essays
    assert len(provider.asked) <= essays + lost


def test_results_degrade_without_the_provider_and_heal_when_it_recovers(
    deployment: Deployment, provider: ModelServer
) -> None:
    provider.refuse_connections()
    [attempt] = handed_in(deployment, 1)
    degraded = attempt.result()
    provider.accept_connections()

    result = healed(attempt)

    assert degraded["degraded_reasons"] == [DegradedReason.ESSAY_GRADER_LOCAL]
    assert (result["degraded"], result["degraded_reasons"]) == (False, [])
    assert deployment.rows("SELECT healing FROM assessments WHERE id = %s", attempt.id) == [("none",)]


def test_a_hanging_provider_gets_two_attempts_and_none_while_its_circuit_is_open(
    deployment: Deployment, provider: ModelServer
) -> None:
    provider.rule = lambda _: fake_completions.HANG
    first = handed_in(deployment, 3)
    for attempt in first:
        assert attempt.result()["degraded_reasons"] == [DegradedReason.ESSAY_GRADER_LOCAL]
    asked = len(provider.asked)

    [second] = handed_in(deployment, 1)
    result = second.result()

    assert asked <= 2 * 2 * len(first)
    assert asked >= CIRCUIT_THRESHOLD
    assert result["degraded_reasons"] == [DegradedReason.ESSAY_GRADER_LOCAL]
    assert len(provider.asked) - asked <= 1  # at most a probe


def test_a_wrong_key_has_its_own_reason_and_a_retry_after_the_fix_heals(
    deployment: Deployment, provider: ModelServer
) -> None:
    provider.rule = lambda _: fake_completions.WRONG_KEY
    [attempt] = handed_in(deployment, 1)
    degraded = attempt.result()
    provider.reset()

    retried = deployment.log_in(ADVISOR).post(f"{attempt.path}/retry")

    assert degraded["degraded_reasons"] == [DegradedReason.ESSAY_GRADER_KEY_REFUSED]
    assert retried.status_code == 202
    assert healed(attempt)["degraded"] is False
