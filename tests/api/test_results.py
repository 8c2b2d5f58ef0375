"""GET status, result, scores and revisions."""

import pytest

from api.schemas.results import AssessmentResult, AssessmentScores
from tests.api.conftest import Api, Person
from tests.support.fakes import RecordingRuns


async def test_the_status_counts_answers(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    view = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()
    assert view["progress"] == {"answered": 0, "total": len(started["questions"])}
    assert (view["status"], view["degraded"], view["revision"], view["healing"]) == ("in_progress", False, 0, "none")
    assert "stage" not in view


async def test_the_live_stage_is_added_if_the_engine_answers(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    path = f"/assessments/{started['assessment_id']}"
    silent = (await api.get(learner, path)).json()
    runs.stage = "scoring"
    telling = (await api.get(learner, path)).json()
    assert telling == silent | {"stage": "scoring"}


async def test_a_failing_engine_only_omits_the_stage(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    runs.down = True
    path = f"/assessments/{started['assessment_id']}"
    assert (await api.get(learner, path)).json()["status"] == "awaiting_async"
    assert (await api.get(learner, f"{path}/result")).status_code == 202


async def test_storing_an_answer_moves_last_updated_at(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    path = f"/assessments/{started['assessment_id']}"
    before = (await api.get(learner, path)).json()["last_updated_at"]
    await api.submit(learner, started)
    assert (await api.get(learner, path)).json()["last_updated_at"] > before


@pytest.mark.parametrize("what", ["result", "scores"])
async def test_before_handing_in_there_is_no_result(api: Api, learner: Person, what: str) -> None:
    started = await api.start(learner)
    answer = await api.get(learner, f"/assessments/{started['assessment_id']}/{what}")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "RESULT_NOT_SUBMITTED")


@pytest.mark.parametrize("what", ["result", "scores"])
async def test_a_result_in_the_making_is_202_with_retry_after(
    api: Api, learner: Person, runs: RecordingRuns, what: str
) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    runs.stage = "retrieving"
    answer = await api.get(learner, f"/assessments/{started['assessment_id']}/{what}")
    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {
        "assessment_id": started["assessment_id"],
        "status": "awaiting_async",
        "stage": "retrieving",
    }


async def test_a_failed_assessment_says_why(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.set(started["assessment_id"], status="failed", failure_reason="CORRUPT_DATA_500")
    answer = await api.get(learner, f"/assessments/{started['assessment_id']}/result")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "ASSESSMENT_FAILED")
    assert answer.json()["details"] == {"reason": "CORRUPT_DATA_500"}


async def test_the_result_matches_the_openapi_document(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    answer = await api.get(learner, f"/assessments/{publication.assessment_id}/result")
    assert answer.status_code == 200
    result = AssessmentResult.model_validate(answer.json())
    assert answer.json().keys() == AssessmentResult.model_fields.keys()
    assert result.recommendation_id == publication.recommendation_id
    assert [item.position for item in result.recommendation_items] == [1, 2, 3]
    traces = {trace.trace_id for trace in result.traces}
    assert all(set(item.source_trace_ids) <= traces for item in result.recommendation_items)
    assert {skill.skill for skill in result.skills} == {"SQL querying"}


async def test_scores_are_those_of_every_question_in_order(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.publish(started["assessment_id"])
    answer = await api.get(learner, f"/assessments/{started['assessment_id']}/scores")
    scores = AssessmentScores.model_validate(answer.json())
    asked = [question["question_id"] for question in started["questions"]]
    assert [str(score.question_id) for score in scores.scores] == asked


async def test_every_revision_is_kept(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    path = f"/assessments/{publication.assessment_id}"
    listed = (await api.get(learner, f"{path}/revisions")).json()
    assert [item["revision"] for item in listed["items"]] == [1]
    kept = await api.get(learner, f"{path}/revisions/1")
    assert kept.json() == (await api.get(learner, f"{path}/result")).json()
    assert (await api.get(learner, f"{path}/revisions/2")).status_code == 404


@pytest.mark.parametrize("revision", ["0", "-1", "1.0", "one", "9" * 30, "٣"])
async def test_a_revision_that_is_no_number_is_refused(api: Api, learner: Person, revision: str) -> None:
    publication = await api.completed(learner)
    answer = await api.get(learner, f"/assessments/{publication.assessment_id}/revisions/{revision}")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "revision")
