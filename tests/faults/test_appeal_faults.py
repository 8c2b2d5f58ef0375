"""An appeal survives kills at its opening, during its timers and at its answer. Nothing is recorded twice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import uuid4

import httpx
import pytest

from tests.faults.injection import Gate, Moment
from tests.support.deployment import ADVISOR, Deployment, Json, eventually, frozen
from tests.support.student_client import MARKER, Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

ANSWERING: Final = Moment("answering", "UPDATE", "appeals", "OLD.state = 'open' AND NEW.state <> 'open'")
REASON: Final = f"{MARKER}: my second sentence names the check."


def essays(attempt: Attempt) -> list[Json]:
    return [each for each in attempt.questions if each["answer_format"]["kind"] == "text"]


def completed(deployment: Deployment) -> Attempt:
    attempt = Attempt.start(deployment.log_in())
    assert attempt.submit().status_code == 202
    attempt.result()
    return attempt


def audited(deployment: Deployment, appeal_id: object) -> list[str]:
    rows = deployment.rows("SELECT action FROM audit_logs WHERE resource_id = %s ORDER BY seq", appeal_id)
    return [action for (action,) in rows]


def run_status(deployment: Deployment, appeal_id: object) -> str | None:
    """Return the status of the appeal's run, or None without a run."""
    found: list[Json] = deployment.temporal_command(  # type: ignore[assignment]  # a list
        "workflow", "list", "--query", f"WorkflowId = 'appeal-{appeal_id}'"
    )
    return str(found[0]["status"]) if found else None


def is_running(deployment: Deployment, appeal_id: object) -> bool:
    return run_status(deployment, appeal_id) == "WORKFLOW_EXECUTION_STATUS_RUNNING"


def has_ended(deployment: Deployment, appeal_id: object) -> bool:
    return run_status(deployment, appeal_id) == "WORKFLOW_EXECUTION_STATUS_COMPLETED"


def post_and_lose_the_response(http: httpx.Client, path: str, body: Json, key: str) -> None:
    with pytest.raises(httpx.TransportError):
        http.post(path, json=body, headers={"Idempotency-Key": key})


def test_an_appeal_survives_kills_of_the_api_at_its_opening_and_at_its_answer(deployment: Deployment) -> None:
    attempt = completed(deployment)
    essay = essays(attempt)[0]
    opening = {"question_id": essay["question_id"], "reason": REASON}
    with ThreadPoolExecutor() as threads, frozen(deployment.temporal.process):
        lost = threads.submit(
            post_and_lose_the_response, attempt.http, f"{attempt.path}/appeals", opening, str(uuid4())
        )
        [(appeal_id,)] = eventually(lambda: deployment.rows("SELECT id FROM appeals"))
        deployment.api.kill()
        lost.result()
    eventually(lambda: is_running(deployment, appeal_id))

    deployment.start_api()
    advisor = deployment.log_in(ADVISOR)
    levels = {each["key"]: each["levels"][-1]["name"] for each in essay["rubric"]["criteria"]}
    answer, key = {"outcome": "upheld", "levels": levels, "message": "You are right."}, str(uuid4())
    with ThreadPoolExecutor() as threads, Gate(deployment, ANSWERING) as gate:
        lost = threads.submit(post_and_lose_the_response, advisor, f"/appeals/{appeal_id}/answer", answer, key)
        gate.wait_for_waiters()
        deployment.api.kill()
        lost.result()
    deployment.start_api()
    deployment.worker.kill()
    answered = [
        advisor.post(f"/appeals/{appeal_id}/answer", json=answer, headers={"Idempotency-Key": key}) for _ in range(2)
    ]
    deployment.start_worker()

    assert [(each.status_code, each.json()["state"]) for each in answered] == [(200, "upheld")] * 2
    eventually(lambda: has_ended(deployment, appeal_id))
    eventually(lambda: attempt.result()["revision"] == 2)
    shown = attempt.http.get(f"/appeals/{appeal_id}").json()
    assert (shown["state"], shown["published_revision"]) == ("upheld", 2)
    assert audited(deployment, appeal_id) == ["appeal.opened", "appeal.upheld"]
    assert deployment.rows("SELECT count(*) FROM essay_reviews") == [(1,)]
    assert deployment.rows(
        "SELECT event_type FROM webhook_events WHERE event_type LIKE 'appeal.%%' ORDER BY created_at"
    ) == [("appeal.opened",), ("appeal.answered",)]


def test_a_reminder_that_comes_due_without_a_worker_is_recorded_once(deployment: Deployment) -> None:
    attempt = completed(deployment)
    [(appeal_id,)] = deployment.rows(
        """
INSERT INTO appeals (id, assessment_id, question_snapshot_id, organization_id, user_id, role_id, revision, state,
  reason, reminder_due_at, answer_due_at, updated_at)
SELECT gen_random_uuid(), assessment.id, snapshot.id, organization_id, user_id, role_id, 1, 'open', %s,
  now() + interval '20 seconds', now() + interval '30 seconds', now() - interval '1 minute'
FROM assessments AS assessment JOIN assessment_question_snapshots AS snapshot ON assessment_id = assessment.id
WHERE assessment.id = %s AND kind = 'text' LIMIT 1
RETURNING id""",
        REASON,
        attempt.id,
    )
    eventually(lambda: is_running(deployment, appeal_id))
    deployment.worker.kill()
    eventually(lambda: deployment.rows("SELECT FROM appeals WHERE reminder_due_at < now()"))
    assert audited(deployment, appeal_id) == []
    deployment.start_worker()
    eventually(lambda: "appeal.overdue" in audited(deployment, appeal_id))
    deployment.worker.kill()

    withdrawn = attempt.http.post(f"/appeals/{appeal_id}/withdrawal")
    deployment.start_worker()

    assert withdrawn.status_code == 200
    eventually(lambda: has_ended(deployment, appeal_id))
    assert audited(deployment, appeal_id) == ["appeal.reminded", "appeal.overdue", "appeal.withdrawn"]
