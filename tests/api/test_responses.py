"""POST /assessments/{id}/responses, and resuming."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from persistence.tables import AsyncJobRow, AuditLogRow, ResponseRow
from tests.api.conftest import Api, Person, question_of, response_to
from tests.fakes import RecordingRuns


async def test_answers_are_stored_and_shown_again_in_the_shape_they_were_sent(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    sent = [response_to(question_of(started, kind)) for kind in ("single", "multiple", "number", "scale", "text")]
    acknowledged = await api.send(learner, started["assessment_id"], *sent)
    assert acknowledged.status_code == 202
    assert acknowledged.json()["status"] == "in_progress"
    assert acknowledged.json()["async_job_enqueued"] is False
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    assert resumed["questions"] == started["questions"]
    assert sorted(resumed["responses"], key=_question_id) == sorted(sent, key=_question_id)


async def test_what_cannot_be_seen_in_an_essay_is_kept(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    essay = question_of(started, "text")
    text = "Zero\u200bwidth, \u202eturned\u202c, a tag \U000e0041\U000e007f, half\u00adway and a mark \ufeff."
    await api.send(learner, started["assessment_id"], {"question_id": essay["question_id"], "answer": text})
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    assert [each["answer"] for each in resumed["responses"]] == [text]


async def test_an_answer_replaces_the_one_before(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    question = question_of(started, "single")
    for choice in question["choices"][:2]:
        await api.send(learner, started["assessment_id"], {"question_id": question["question_id"], "answer": choice})
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    assert [each["answer"] for each in resumed["responses"]] == [question["choices"][1]]


@pytest.mark.parametrize("number", ["0.1", "1e2", "-0.0", "12.345678901234"])
async def test_numbers_are_stored_as_they_were_written(api: Api, learner: Person, number: str) -> None:
    started = await api.start(learner)
    question = question_of(started, "number")
    body = f'{{"responses": [{{"question_id": "{question["question_id"]}", "answer": {number}}}]}}'
    answer = await _send_raw(api, learner, started["assessment_id"], body)
    assert answer.status_code == 202, answer.text
    async with api.sessions() as session:
        stored = await session.scalar(
            select(ResponseRow.answer).where(ResponseRow.assessment_id == started["assessment_id"])
        )
    assert float(stored) == float(number)


async def test_handing_in_queues_a_job_a_step_and_one_an_essay(api: Api, learner: Person, runs: RecordingRuns) -> None:
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


async def test_an_engine_that_is_away_loses_nothing_and_the_message_says_so(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
    started = await api.start(learner)
    runs.down = True
    acknowledged = await api.submit(learner, started)
    assert acknowledged["async_job_enqueued"] is True
    assert "could not be told" in acknowledged["message"]
    assert (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"] == "awaiting_async"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("single", "a choice that is not offered"),
        ("single", 3),
        ("single", {"choices": []}),
        ("multiple", "one"),
        ("multiple", {"choices": ["not offered"]}),
        ("multiple", {"choices": [], "more": 1}),
        ("number", "12"),
        ("number", {"value": 12}),
        ("number", True),
        ("scale", 2),
        ("text", 5),
        ("text", " "),
        ("text", "x" * 20_001),
        ("text", None),
        ("text", ["a"]),
    ],
)
async def test_a_wrong_answer_stores_nothing_of_the_batch(api: Api, learner: Person, kind: str, answer: object) -> None:
    started = await api.start(learner)
    wrong = question_of(started, kind)
    right = next(question for question in started["questions"] if question["answer_format"]["kind"] != kind)
    refused = await api.send(
        learner,
        started["assessment_id"],
        response_to(right),
        {"question_id": wrong["question_id"], "answer": answer},
        completed=True,
    )
    assert refused.status_code == 400
    assert refused.json()["details"][0]["field"] == "responses.1.answer"
    assert await _stored(api, started["assessment_id"]) == 0
    assert (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"] == "in_progress"


async def test_every_problem_of_a_batch_is_named(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    first = response_to(question_of(started, "text"))
    refused = await api.send(
        learner,
        started["assessment_id"],
        first,
        first,
        {"question_id": str(uuid4()), "answer": "x"},
        {"question_id": question_of(started, "number")["question_id"], "answer": "x"},
    )
    assert [problem["field"] for problem in refused.json()["details"]] == [
        "responses.1.question_id",
        "responses.2.question_id",
        "responses.3.answer",
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"responses": []},
        {"responses": [{"answer": "x"}]},
        {"responses": [], "completed": "yes"},
        {"responses": [], "completed": 1},
        {"responses": {"question_id": "x"}},
        {"responses": [], "finished": True},
        [],
        "text",
    ],
)
async def test_a_batch_of_the_wrong_shape_is_refused(api: Api, learner: Person, body: Any) -> None:
    started = await api.start(learner)
    answer = await api.client.post(
        f"/api/v1/assessments/{started['assessment_id']}/responses", json=body, headers=learner.headers
    )
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


@pytest.mark.parametrize(
    "claimed", ["2026-01-01T10:00:00", "2026-01-01", 1767261600, "2026-13-01T10:00:00Z", "0001-01-01T00:00:00+14:00"]
)
async def test_a_time_without_offset_or_that_does_not_exist_is_refused(
    api: Api, learner: Person, claimed: object
) -> None:
    started = await api.start(learner)
    sent = response_to(question_of(started, "text")) | {"submitted_at": claimed}
    refused = await api.send(learner, started["assessment_id"], sent)
    assert [problem["field"] for problem in refused.json()["details"]] == ["responses.0.submitted_at"]


async def test_the_clients_clock_decides_nothing(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.set(started["assessment_id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    sent = response_to(question_of(started, "text")) | {"submitted_at": "2020-01-01T00:00:00Z"}
    assert (await api.send(learner, started["assessment_id"], sent)).status_code == 409


async def test_after_handing_in_nothing_changes(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    changed = {"question_id": question_of(started, "text")["question_id"], "answer": "Something else."}
    again = await api.send(learner, started["assessment_id"], changed, completed=True)
    assert (again.status_code, again.json()["error_code"]) == (409, "ASSESSMENT_409")
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    assert changed not in resumed["responses"]


async def test_handing_in_from_several_connections_at_once_is_one_submission(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
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


async def test_expiry_is_noticed_without_the_engine_and_submits_what_is_there(
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


def _question_id(response: dict[str, Any]) -> str:
    return str(response["question_id"])


async def _send_raw(api: Api, learner: Person, assessment_id: str, body: str) -> Any:
    return await api.client.post(
        f"/api/v1/assessments/{assessment_id}/responses",
        content=body,
        headers=learner.headers | {"Content-Type": "application/json"},
    )


async def _stored(api: Api, assessment_id: str) -> int:
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).where(ResponseRow.assessment_id == assessment_id)) or 0


async def _jobs(api: Api, assessment_id: str) -> dict[str, int]:
    async with api.sessions() as session:
        rows = await session.execute(
            select(AsyncJobRow.job_type, func.count())
            .where(AsyncJobRow.assessment_id == assessment_id, AsyncJobRow.status == "queued")
            .group_by(AsyncJobRow.job_type)
        )
        return {row[0]: row[1] for row in rows}
