"""A worker is killed while the language model sees a reviewed answer of another student."""

import pytest

from tests.support import model_server
from tests.support.deployment import ADVISOR, CLASSMATES, STUDENT, Deployment, eventually
from tests.support.fake_completions import HANG, good
from tests.support.model_server import ModelServer
from tests.support.student_client import Attempt

EXAMPLE = "example 1 begins ---"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
def environment(provider: ModelServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": model_server.KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_TIMEOUT_S": "10",
    }


def handed_in(deployment: Deployment, email: str) -> Attempt:
    attempt = Attempt.start(deployment.log_in(email))
    assert attempt.submit().status_code == 202
    return attempt


def review_the_first_essay(deployment: Deployment, attempt: Attempt) -> str:
    """Set the lowest levels. Return the question's id."""
    advisor = deployment.log_in(ADVISOR)
    items = advisor.get(f"{attempt.path}/items").json()["items"]
    essay = next(item for item in items if item["rubric"] and item["rubric"].get("criteria"))
    levels = {criterion["key"]: criterion["levels"][0]["name"] for criterion in essay["rubric"]["criteria"]}
    reviewed = advisor.post(f"{attempt.path}/items/{essay['question_id']}/review", json={"levels": levels})
    assert reviewed.status_code == 202, reviewed.text
    return str(essay["question_id"])


def requests_with_examples(provider: ModelServer) -> list[str]:
    return [each.user for each in list(provider.asked) if EXAMPLE in each.user]


def test_a_call_that_is_repeated_after_a_kill_shows_the_same_reviewed_answer(
    deployment: Deployment, provider: ModelServer
) -> None:
    reviewed, reviewed_later = [handed_in(deployment, email) for email in CLASSMATES[:2]]
    for attempt in (reviewed, reviewed_later):
        attempt.result()
    question_id = review_the_first_essay(deployment, reviewed)
    provider.rule = lambda asked: HANG if EXAMPLE in asked.user else good(asked)
    graded = handed_in(deployment, STUDENT)
    eventually(lambda: requests_with_examples(provider))
    review_the_first_essay(deployment, reviewed_later)
    deployment.worker.kill()
    provider.rule = good
    deployment.start_worker()

    graded.result()

    shown = requests_with_examples(provider)
    used = deployment.rows(
        "SELECT score.response_payload -> 'examples' FROM essay_scores AS score"
        " JOIN assessment_question_snapshots AS item ON item.id = score.question_snapshot_id"
        " WHERE item.assessment_id = %s AND item.question_id = %s",
        graded.id,
        question_id,
    )
    reviews = deployment.rows("SELECT id::text FROM essay_reviews WHERE assessment_id = %s", reviewed.id)
    assert len(shown) >= 2
    assert len(set(shown)) == 1
    assert used == [([reviews[0][0]],)]
