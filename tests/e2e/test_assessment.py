"""One student's assessment from start to result, and the access of other users to it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
import yaml

from domain.ids import derived_id
from tests.support.databases import CONTENT
from tests.support.deployment import (
    ADVISOR,
    PASSWORD,
    STRANGER,
    STRANGERS_ADVISOR,
    STUDENT,
    Deployment,
    Json,
    frozen,
    stored,
)
from tests.support.student_client import Attempt, response_to, texts_of

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

ROLE = "data-analyst"


@dataclass(frozen=True)
class Walk:
    """The API's responses during an assessment. `left_open` is the question without an answer."""

    attempt: Attempt
    corrected: str
    left_open: str
    sent: list[Json]
    acknowledged: httpx.Response
    pending: httpx.Response
    result: Json

    def score(self, question_id: str) -> Json:
        scores: list[Json] = self.result["scores"]
        return next(score for score in scores if score["question_id"] == question_id)


@pytest.fixture(scope="module")
def walk(deployment: Deployment, student: httpx.Client) -> Walk:
    """Submit two batches while the worker is frozen. The second corrects an answer of the first."""
    attempt = Attempt.start(student, ROLE)
    corrected, left_open, *others = [question["question_id"] for question in attempt.questions]
    answers = {question["question_id"]: response_to(question) for question in attempt.questions}
    first = [answers[corrected], *(answers[each] for each in others[:4])]
    second = [right_answer(corrected), *(answers[each] for each in others[4:])]
    assert attempt.send(first).status_code == 202
    with frozen(deployment.worker.process):
        acknowledged = attempt.send(second, completed=True)
        pending = student.get(f"{attempt.path}/result")
    return Walk(attempt, corrected, left_open, first + second, acknowledged, pending, attempt.result())


def right_answer(question_id: str) -> Json:
    questions = yaml.safe_load((CONTENT / "questions" / f"{ROLE}.yaml").read_text(encoding="utf-8"))["questions"]
    found = next(each for each in questions if str(derived_id("question", each["key"])) == question_id)
    return {"question_id": question_id, "answer": found["rubric"]["correct"]}


def test_every_role_can_be_chosen(student: httpx.Client) -> None:
    listed = student.get("/roles").json()["items"]

    assert ROLE in {role["key"] for role in listed}
    assert len(listed) >= 5


def test_the_last_batch_hands_the_assessment_in(walk: Walk) -> None:
    assert walk.acknowledged.status_code == 202
    assert walk.acknowledged.json()["async_job_enqueued"] is True


def test_a_result_in_the_making_is_answered_202_with_a_time_to_ask_again(walk: Walk) -> None:
    assert walk.pending.status_code == 202
    assert walk.pending.json()["status"] == "awaiting_async"
    assert int(walk.pending.headers["Retry-After"]) >= 1


def test_the_status_counts_what_was_answered(walk: Walk, student: httpx.Client) -> None:
    status = student.get(walk.attempt.path).json()

    assert status["status"] == "completed"
    total = len(walk.attempt.questions)
    assert status["progress"] == {"answered": total - 1, "total": total}


def test_every_question_has_one_score_with_an_explanation_and_its_rule(walk: Walk) -> None:
    assert [score["question_id"] for score in walk.result["scores"]] == [
        question["question_id"] for question in walk.attempt.questions
    ]
    for score in walk.result["scores"]:
        assert score.get("criteria") or (score["rule"] and score["explanation"])


def test_a_correction_replaces_the_answer_before_it(walk: Walk) -> None:
    score = walk.score(walk.corrected)

    assert score["points"] == score["max_points"] > 0


def test_an_unanswered_question_gives_no_points_and_says_so(walk: Walk) -> None:
    score = walk.score(walk.left_open)

    assert (score["rule"], score["points"]) == ("unanswered", 0)


def test_essays_are_graded_by_criteria(walk: Walk) -> None:
    essays = [question["question_id"] for question in walk.attempt.questions if question["type"] == "essay"]

    assert len(essays) >= 2
    assert all(len(walk.score(essay)["criteria"]) >= 3 for essay in essays)


def test_every_recommendation_names_its_reason_and_its_evidence(walk: Walk) -> None:
    traces = {trace["trace_id"]: trace for trace in walk.result["traces"]}

    assert walk.result["recommendation_items"]
    for item in walk.result["recommendation_items"]:
        assert item["rationale"]
        evidence = [traces[trace_id] for trace_id in item["source_trace_ids"]]
        assert item["credential_id"] in {trace["credential_id"] for trace in evidence}
        assert all(trace["snippet"] and trace["source_uri"].startswith("https://") for trace in evidence)


def test_scores_are_those_of_the_result(walk: Walk, student: httpx.Client) -> None:
    scores = student.get(f"{walk.attempt.path}/scores").json()

    assert scores["scores"] == walk.result["scores"]


def test_a_result_is_the_same_whenever_it_is_asked_for(walk: Walk, student: httpx.Client) -> None:
    again = student.get(f"{walk.attempt.path}/result")

    assert again.json() == walk.result
    assert again.content == student.get(f"{walk.attempt.path}/result").content


def test_feedback_speaks_of_the_revision_that_was_seen(walk: Walk, student: httpx.Client) -> None:
    given = student.post(
        f"/recommendations/{walk.result['recommendation_id']}/feedback",
        json={"relevance_score": 4, "acceptance_status": "accepted", "comments": "The first one fits."},
    )

    assert given.status_code == 201, given.text
    assert given.json()["revision"] == walk.result["revision"] == 1


def test_an_advisor_of_the_organization_reads_the_result(walk: Walk, deployment: Deployment) -> None:
    read = deployment.log_in(ADVISOR).get(f"{walk.attempt.path}/result")

    assert (read.status_code, read.json()) == (200, walk.result)


@pytest.mark.parametrize(
    ("email", "parts"),
    [
        (STRANGER, ["", "/questions", "/result", "/scores", "/revisions"]),
        (STRANGERS_ADVISOR, ["", "/result", "/scores", "/revisions"]),
    ],
)
def test_another_organization_finds_nothing(email: str, parts: list[str], walk: Walk, deployment: Deployment) -> None:
    stranger = deployment.log_in(email)

    read = {part: stranger.get(f"{walk.attempt.path}{part}").status_code for part in parts}
    listed = stranger.get("/assessments").json()["items"]

    assert read == dict.fromkeys(parts, 404)
    assert walk.attempt.id not in {each["assessment_id"] for each in listed}


def test_another_organization_changes_nothing(walk: Walk, deployment: Deployment) -> None:
    answer = Attempt(deployment.log_in(STRANGER), walk.attempt.id, []).send(walk.sent[:1])
    feedback = deployment.log_in(STRANGERS_ADVISOR).post(
        f"/recommendations/{walk.result['recommendation_id']}/feedback", json={"relevance_score": 1}
    )

    assert (answer.status_code, feedback.status_code) == (404, 404)


def test_handing_in_twice_is_refused_the_second_time(walk: Walk) -> None:
    again = walk.attempt.send(walk.sent[:1], completed=True)

    assert again.status_code == 409
    assert again.json()["error_code"] == "ASSESSMENT_409"


def test_handing_in_from_two_connections_at_once_gives_one_result(deployment: Deployment) -> None:
    attempt = Attempt.start(deployment.log_in(STRANGER), "project-coordinator")
    twin = Attempt(deployment.log_in(STRANGER), attempt.id, attempt.questions)

    with ThreadPoolExecutor() as threads:
        answers = [each.result() for each in [threads.submit(one.submit) for one in (attempt, twin)]]

    assert sorted(answer.status_code for answer in answers) == [202, 409]
    assert attempt.result()["revision"] == 1
    assert deployment.rows("SELECT count(*) FROM result_revisions WHERE assessment_id = %s", attempt.id) == [(1,)]


def test_temporal_keeps_no_answer(walk: Walk, deployment: Deployment) -> None:
    kept = stored(deployment.temporal_file)

    assert f"assessment-{walk.attempt.id}".encode() in kept
    assert [text for text in secrets(walk) if text.encode() in kept] == []


def test_no_log_shows_an_answer_an_address_or_a_password(walk: Walk, deployment: Deployment) -> None:
    logs = {path.name: path.read_text(encoding="utf-8") for path in deployment.logs.iterdir()}

    assert any("worker_ready" in log for log in logs.values())
    assert [(name, text) for name, log in logs.items() for text in secrets(walk) if text in log] == []


def secrets(walk: Walk) -> list[str]:
    return [*texts_of(walk.sent), STUDENT, STRANGER, PASSWORD]


def test_sigterm_ends_the_worker_with_code_0(deployment: Deployment) -> None:
    code = deployment.worker.stop()
    deployment.start_worker()

    assert code == 0


def test_sigterm_ends_the_api_with_code_0(deployment: Deployment) -> None:
    code = deployment.api.stop()
    deployment.start_api()

    assert code == 0
