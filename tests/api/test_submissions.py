"""The submission and the expiry of assessments."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from persistence.tables import AsyncJobRow, AuditLogRow
from tests.api.conftest import Api, Person, question_of, response_to
from tests.support.fake_engine import RecordingRuns


async def test_submitting_queues_a_job_per_step_and_per_essay(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    acknowledged = await api.submit(learner, started)
    assert acknowledged["status"] == "awaiting_async"
    assert acknowledged["async_job_enqueued"] is True
    assert [str(each) for each in runs.submitted] == [started["assessment_id"]]
    essays = sum(question["type"] == "essay" for question in started["questions"])
    assert await _jobs(api, started["assessment_id"]) == {
        "score_rules": 1,
        "score_essay": essays,
        "retrieve_evidence": 1,
        "blend_recommendations": 1,
        "publish_result": 1,
    }


async def test_with_the_engine_unavailable_the_submission_is_stored_and_the_message_says_so(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
    started = await api.start(learner)
    runs.down = True
    acknowledged = await api.submit(learner, started)
    assert acknowledged["async_job_enqueued"] is True
    assert "unavailable" in acknowledged["message"]
    assert (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"] == "awaiting_async"


@pytest.mark.parametrize("empty", [None, "", "\u200b\u2060"])
async def test_an_assessment_without_an_answer_cannot_be_submitted(
    api: Api, learner: Person, runs: RecordingRuns, empty: str | None
) -> None:
    started = await api.start(learner)
    essay = response_to(question_of(started, "text")) | {"answer": empty}

    refused = await api.send(learner, started["assessment_id"], essay, completed=True)

    assert (refused.status_code, refused.json()["error_code"]) == (409, "ASSESSMENT_409")
    assert "answer at least one" in refused.json()["message"]
    assert (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"] == "in_progress"
    assert runs.submitted == []


async def test_one_stored_answer_is_enough_to_submit(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    essay, single = (response_to(question_of(started, kind)) for kind in ("text", "single"))
    await api.send(learner, started["assessment_id"], single)

    handed_in = await api.send(learner, started["assessment_id"], essay | {"answer": ""}, completed=True)

    assert handed_in.json()["status"] == "awaiting_async"


async def test_an_empty_submission_is_refused_again_with_its_idempotency_key_and_accepted_with_another(
    api: Api, learner: Person
) -> None:
    started = await api.start(learner)
    path = f"/api/v1/assessments/{started['assessment_id']}/responses"
    essay = response_to(question_of(started, "text"))
    empty = {"responses": [essay | {"answer": ""}], "completed": True}

    async def send(body: dict[str, Any], key: str) -> int:
        headers = learner.headers | {"Idempotency-Key": f"{started['assessment_id']}-{key}"}
        return (await api.client.post(path, json=body, headers=headers)).status_code

    assert [await send(empty, "a"), await send(empty, "a")] == [409, 409]
    assert await send({"responses": [essay], "completed": True}, "b") == 202


async def test_the_clients_clock_does_not_affect_expiry(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.set(started["assessment_id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    sent = response_to(question_of(started, "text")) | {"submitted_at": "2020-01-01T00:00:00Z"}
    assert (await api.send(learner, started["assessment_id"], sent)).status_code == 409


async def test_a_submitted_assessment_refuses_answers(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    changed = {"question_id": question_of(started, "text")["question_id"], "answer": "Something else."}
    again = await api.send(learner, started["assessment_id"], changed, completed=True)
    assert (again.status_code, again.json()["error_code"]) == (409, "ASSESSMENT_409")
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    assert changed not in resumed["responses"]


async def test_concurrent_submissions_count_once(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    responses = [response_to(question) for question in started["questions"]]
    answers = await asyncio.gather(
        *(api.send(learner, started["assessment_id"], *responses, completed=True) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert len(runs.submitted) == 1
    async with api.sessions() as session:
        submissions = await session.scalar(
            select(func.count()).where(
                AuditLogRow.resource_id == started["assessment_id"], AuditLogRow.action == "assessment.submitted"
            )
        )
    assert submissions == 1


async def test_an_expired_assessment_is_submitted_with_its_answers_without_the_engine(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
    started = await api.start(learner)
    path = f"/assessments/{started['assessment_id']}"
    await api.send(learner, started["assessment_id"], response_to(question_of(started, "text")))
    await api.set(started["assessment_id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    late = await api.send(learner, started["assessment_id"], response_to(question_of(started, "single")))
    assert (late.status_code, late.json()["error_code"]) == (409, "ASSESSMENT_409")
    assert (await api.get(learner, path)).json()["status"] == "awaiting_async"
    assert (await api.get(learner, path)).json()["progress"]["answered"] == 1
    assert [str(each) for each in runs.submitted] == [started["assessment_id"]]


async def test_expiry_without_an_answer_fails_the_assessment(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    await api.set(started["assessment_id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    late = await api.send(learner, started["assessment_id"], response_to(question_of(started, "single")))
    view = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()
    assert (late.status_code, view["status"], view["failure_reason"]) == (409, "failed", "expired")
    assert runs.submitted == []
    assert await api.events(started["assessment_id"]) == ["assessment.failed"]


async def _jobs(api: Api, assessment_id: str) -> dict[str, int]:
    async with api.sessions() as session:
        rows = await session.execute(
            select(AsyncJobRow.job_type, func.count())
            .where(AsyncJobRow.assessment_id == assessment_id, AsyncJobRow.status == "queued")
            .group_by(AsyncJobRow.job_type)
        )
        return {row[0]: row[1] for row in rows}
