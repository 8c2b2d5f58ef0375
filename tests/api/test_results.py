"""GET status, result, scores and revisions."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from api.schemas.results import AssessmentResult, AssessmentScores
from domain.assessments.steps import Step
from persistence.queries.stages import STAGES
from persistence.tables import AsyncJobRow
from tests.api.conftest import Api, Person
from tests.support.fake_engine import RecordingRuns
from workflows.progress import Stage


async def test_the_status_counts_answers(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    view = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()
    assert view["progress"] == {"answered": 0, "total": len(started["questions"])}
    assert (view["status"], view["degraded"], view["revision"], view["healing"]) == ("in_progress", False, 0, "none")
    assert "stage" not in view


@pytest.mark.parametrize(
    ("claimed", "done", "stage"),
    [
        (False, [], "queued"),
        (True, [], "scoring"),
        (True, [Step.SCORE_RULES], "scoring"),
        (True, [Step.SCORE_RULES, Step.SCORE_ESSAY], "retrieving"),
        (True, [Step.SCORE_RULES, Step.SCORE_ESSAY, Step.RETRIEVE_EVIDENCE], "recommending"),
        (True, [step for step in Step if step is not Step.PUBLISH_RESULT], "publishing"),
    ],
)
async def test_the_stage_is_the_first_step_that_is_not_done(
    api: Api, learner: Person, *, claimed: bool, done: list[Step], stage: str
) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    path = f"/assessments/{started['assessment_id']}"
    await api.set(started["assessment_id"], claimed_at=datetime.now(UTC) if claimed else None)
    await finish(api, started["assessment_id"], done)

    status, result = await api.get(learner, path), await api.get(learner, f"{path}/result")

    assert (status.json()["status"], status.json()["stage"]) == ("awaiting_async", stage)
    assert (result.status_code, result.json()["stage"]) == (202, stage)


async def test_a_rerun_has_the_stage_of_its_own_jobs(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    await finish(api, started["assessment_id"], list(Step))
    await api.set(started["assessment_id"], status="failed", failure_reason="bug")
    await api.client.post(
        f"/api/v1/assessments/{started['assessment_id']}/rerun", headers=(await api.person("admin")).headers
    )
    await api.set(started["assessment_id"], claimed_at=datetime.now(UTC))

    view = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()

    assert (view["status"], view["stage"]) == ("awaiting_async", "scoring")


def test_the_stages_have_the_names_that_the_web_ui_shows() -> None:
    assert set(STAGES) == set(Step)
    assert set(STAGES.values()) <= {stage.value for stage in Stage}


async def finish(api: Api, assessment_id: str, steps: list[Step]) -> None:
    """Mark the steps of the current run as done."""
    async with api.sessions() as session:
        mine = AsyncJobRow.assessment_id == assessment_id, AsyncJobRow.job_type.in_(steps)
        await session.execute(update(AsyncJobRow).where(*mine).values(status="succeeded"))
        await session.commit()


async def test_an_unavailable_engine_does_not_change_a_read(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    runs.down = True
    await api.submit(learner, started)
    path = f"/assessments/{started['assessment_id']}"
    view = (await api.get(learner, path)).json()
    assert (view["status"], view["stage"]) == ("awaiting_async", "queued")
    assert (await api.get(learner, f"{path}/result")).status_code == 202


async def test_storing_an_answer_updates_last_updated_at(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    path = f"/assessments/{started['assessment_id']}"
    before = (await api.get(learner, path)).json()["last_updated_at"]
    await api.submit(learner, started)
    assert (await api.get(learner, path)).json()["last_updated_at"] > before


@pytest.mark.parametrize("what", ["result", "scores"])
async def test_before_submission_there_is_no_result(api: Api, learner: Person, what: str) -> None:
    started = await api.start(learner)
    answer = await api.get(learner, f"/assessments/{started['assessment_id']}/{what}")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "RESULT_NOT_SUBMITTED")


@pytest.mark.parametrize("what", ["result", "scores"])
async def test_a_result_in_preparation_is_202_with_retry_after(api: Api, learner: Person, what: str) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    answer = await api.get(learner, f"/assessments/{started['assessment_id']}/{what}")
    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {
        "assessment_id": started["assessment_id"],
        "status": "awaiting_async",
        "stage": "queued",
    }


async def test_a_failed_assessment_returns_its_reason(api: Api, learner: Person) -> None:
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


async def test_all_revisions_are_stored(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    path = f"/assessments/{publication.assessment_id}"
    listed = (await api.get(learner, f"{path}/revisions")).json()
    assert [item["revision"] for item in listed["items"]] == [1]
    kept = await api.get(learner, f"{path}/revisions/1")
    assert kept.json() == (await api.get(learner, f"{path}/result")).json()
    assert (await api.get(learner, f"{path}/revisions/2")).status_code == 404


@pytest.mark.parametrize("revision", ["0", "-1", "1.0", "one", "9" * 30, "٣"])
async def test_a_revision_that_is_not_a_number_is_refused(api: Api, learner: Person, revision: str) -> None:
    publication = await api.completed(learner)
    answer = await api.get(learner, f"/assessments/{publication.assessment_id}/revisions/{revision}")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "revision")
