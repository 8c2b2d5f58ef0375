"""Results that wait at the gate of a provider heal without an operator after every process was killed."""

from collections import Counter
from functools import partial
from typing import Any, Final

import pytest

from tests.faults.injection import STORING_A_REPLY, Gate, assert_done_once
from tests.support import model_server
from tests.support.deployment import Deployment, eventually, kill
from tests.support.model_server import ModelServer
from tests.support.student_client import ROLES, Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

TIMEOUT_S: Final = 2
"""The timeout of a call. Its reservation ends 5 s later, before the server notices that the probe's worker is gone."""


@pytest.fixture
def environment(provider: ModelServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": model_server.KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_TIMEOUT_S": str(TIMEOUT_S),
        "OPENAI_CIRCUIT_THRESHOLD": "100",
    }


def waits_at_gate(deployment: Deployment, attempt: Attempt) -> bool:
    """Return whether the run that heals the attempt's result has started the gate and waits for it."""
    pending = described(deployment, f"revision-{attempt.id}").get("pendingActivities", [])
    return any(each["activityType"]["name"] == "await_provider" and "lastFailure" in each for each in pending)


def described(deployment: Deployment, run: str) -> dict[str, Any]:
    """Return the description of the newest run with this id, or nothing before it starts."""
    found = deployment.temporal_command("workflow", "list", "--query", f"WorkflowId = '{run}'")
    return deployment.temporal_command("workflow", "describe", "--workflow-id", run) if found else {}


def last_event(deployment: Deployment, run: str) -> str:
    history = deployment.temporal_command("workflow", "show", "--workflow-id", run)
    return str(history["events"][-1]["eventType"])


def test_waiting_results_heal_after_kills_of_the_worker_and_of_temporal(
    deployment: Deployment, provider: ModelServer
) -> None:
    """Kill Temporal and the worker between two probes, then the worker in a probe that has received its reply."""
    provider.refuse_connections()
    student = deployment.log_in()
    attempts = [Attempt.start(student, role) for role in ROLES[:3]]
    for attempt in attempts:
        attempt.submit()
    degraded = [attempt.result()["degraded"] for attempt in attempts]
    [(organization_id,)] = deployment.rows("SELECT DISTINCT organization_id FROM assessments")
    gate_id = f"provider-gate-language_model-{organization_id}"

    for attempt in attempts:
        eventually(partial(waits_at_gate, deployment, attempt))
    eventually(lambda: last_event(deployment, gate_id) == "EVENT_TYPE_TIMER_STARTED")
    kill(deployment.temporal.process)
    deployment.temporal.start()
    deployment.worker.kill()
    with Gate(deployment, STORING_A_REPLY) as storing:
        provider.accept_connections()
        deployment.start_worker()
        storing.wait_for_waiters()
        deployment.worker.kill()
    deployment.start_worker()

    eventually(lambda: all(attempt.result()["revision"] == 2 for attempt in attempts))
    essays = deployment.rows("SELECT FROM essay_scores")
    bought = Counter(asked.body for asked in provider.asked)
    assert degraded == [True] * len(attempts)
    assert [attempt.result()["degraded"] for attempt in attempts] == [False] * len(attempts)
    assert len(bought) == len(essays)
    assert bought.total() <= len(essays) + 1  # the reply of the killed probe may be lost
    assert_done_once(deployment, attempts, revisions=2)
