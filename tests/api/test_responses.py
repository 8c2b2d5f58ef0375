"""POST /assessments/{id}/responses, and resuming."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from persistence.tables import ResponseRow
from tests.api.conftest import Api, Person, question_of, response_to


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


async def test_invisible_characters_of_an_essay_are_stored(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    essay = question_of(started, "text")
    text = "Zero\u200bwidth, \u202eturned\u202c, a tag \U000e0041\U000e007f, half\u00adway and a mark \ufeff."
    await api.send(learner, started["assessment_id"], {"question_id": essay["question_id"], "answer": text})
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    assert [each["answer"] for each in resumed["responses"]] == [text]


async def test_an_answer_replaces_the_previous_one(api: Api, learner: Person) -> None:
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
        ("text", "x" * 20_001),
        ("text", True),
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
    (problem,) = refused.json()["details"]
    assert (problem["field"], problem["question_id"]) == ("responses.1.answer", wrong["question_id"])
    assert await _stored(api, started["assessment_id"]) == 0
    assert (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"] == "in_progress"


async def test_every_problem_of_a_batch_is_named(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    first = response_to(question_of(started, "text"))
    unknown, number = str(uuid4()), question_of(started, "number")["question_id"]
    refused = await api.send(
        learner,
        started["assessment_id"],
        first,
        first,
        {"question_id": unknown, "answer": "x"},
        {"question_id": number, "answer": "x"},
    )
    assert [(problem["field"], problem["question_id"]) for problem in refused.json()["details"]] == [
        ("responses.1.question_id", first["question_id"]),
        ("responses.2.question_id", unknown),
        ("responses.3.answer", number),
    ]


@pytest.mark.parametrize(
    "changes", [{"submitted_at": "yesterday"}, {"more": 1}], ids=["a wrong field", "an unknown one"]
)
async def test_a_response_of_the_wrong_shape_is_named_by_its_question(
    api: Api, learner: Person, changes: dict[str, Any]
) -> None:
    started = await api.start(learner)
    right, wrong = (response_to(question_of(started, kind)) for kind in ("single", "text"))

    refused = await api.send(learner, started["assessment_id"], right, wrong | changes)

    assert [problem["question_id"] for problem in refused.json()["details"]] == [wrong["question_id"]]


async def test_a_question_id_of_the_wrong_form_is_not_repeated(api: Api, learner: Person) -> None:
    started = await api.start(learner)

    refused = await api.send(learner, started["assessment_id"], {"question_id": "Q1-MARKER", "answer": 1, "more": 1})

    assert "question_id" not in refused.json()["details"][0]
    assert "MARKER" not in refused.text


@pytest.mark.parametrize(("sent", "shown"), [("61.99999999999999", 62), ("33.333333333333336", 33.3333333333333)])
async def test_a_number_of_17_digits_is_rounded_to_15(api: Api, learner: Person, sent: str, shown: float) -> None:
    started = await api.start(learner)
    number = question_of(started, "number")["question_id"]
    body = f'{{"responses": [{{"question_id": "{number}", "answer": {sent}}}]}}'

    await _send_raw(api, learner, started["assessment_id"], body)

    assert await _answers(api, learner, started) == [shown]


@pytest.mark.parametrize("empty", ["", " \n", "\u200b", "\u3164", "\u00a0", "\u0301", None])
async def test_an_essay_that_was_emptied_is_saved_as_unanswered(api: Api, learner: Person, empty: str | None) -> None:
    started = await api.start(learner)
    essay, single = (response_to(question_of(started, kind)) for kind in ("text", "single"))
    await api.send(learner, started["assessment_id"], essay, single)

    saved = await api.send(learner, started["assessment_id"], essay | {"answer": empty})

    assert saved.status_code == 202, saved.text
    assert await _answers(api, learner, started) == [single["answer"]]
    status = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()
    assert status["progress"]["answered"] == 1


@pytest.mark.parametrize("kind", ["single", "multiple", "number", "scale", "text"])
async def test_null_clears_an_answer_and_clearing_again_changes_nothing(api: Api, learner: Person, kind: str) -> None:
    started = await api.start(learner)
    given = response_to(question_of(started, kind))
    await api.send(learner, started["assessment_id"], given)

    cleared = [await api.send(learner, started["assessment_id"], given | {"answer": None}) for _ in range(2)]

    assert [each.status_code for each in cleared] == [202, 202]
    assert await _stored(api, started["assessment_id"]) == 0


async def test_one_batch_stores_and_clears(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    essay, single = (response_to(question_of(started, kind)) for kind in ("text", "single"))
    await api.send(learner, started["assessment_id"], essay)

    await api.send(learner, started["assessment_id"], single, essay | {"answer": ""})

    assert await _answers(api, learner, started) == [single["answer"]]


async def test_a_refused_batch_clears_nothing(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    essay, single = (response_to(question_of(started, kind)) for kind in ("text", "single"))
    await api.send(learner, started["assessment_id"], essay)

    refused = await api.send(
        learner, started["assessment_id"], essay | {"answer": ""}, single | {"answer": "not offered"}
    )

    assert refused.status_code == 400
    assert await _answers(api, learner, started) == [essay["answer"]]


async def test_a_refused_submission_clears_no_answers(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    essay = response_to(question_of(started, "text"))
    await api.send(learner, started["assessment_id"], essay)

    refused = await api.send(learner, started["assessment_id"], essay | {"answer": ""}, completed=True)

    assert refused.status_code == 409
    assert await _answers(api, learner, started) == [essay["answer"]]


async def test_concurrent_clearing_and_submitting_never_submits_an_assessment_without_an_answer(
    api: Api, learner: Person
) -> None:
    started = await api.start(learner)
    essay, single = (response_to(question_of(started, kind)) for kind in ("text", "single"))
    await api.send(learner, started["assessment_id"], essay)

    cleared, handed_in = await asyncio.gather(
        api.send(learner, started["assessment_id"], essay | {"answer": None}),
        api.send(learner, started["assessment_id"], single | {"answer": None}, completed=True),
    )

    assert (cleared.status_code, handed_in.status_code) in {(202, 409), (409, 202)}
    assert await _stored(api, started["assessment_id"]) == (1 if handed_in.status_code == 202 else 0)


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


def _question_id(response: dict[str, Any]) -> str:
    return str(response["question_id"])


async def _send_raw(api: Api, learner: Person, assessment_id: str, body: str) -> Any:
    return await api.client.post(
        f"/api/v1/assessments/{assessment_id}/responses",
        content=body,
        headers=learner.headers | {"Content-Type": "application/json"},
    )


async def _answers(api: Api, learner: Person, started: dict[str, Any]) -> list[Any]:
    resumed = (await api.get(learner, f"/assessments/{started['assessment_id']}/questions")).json()
    return [each["answer"] for each in resumed["responses"]]


async def _stored(api: Api, assessment_id: str) -> int:
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).where(ResponseRow.assessment_id == assessment_id)) or 0
