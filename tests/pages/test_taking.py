"""Take an assessment by forms: answers, versions, flags, the hand-in and the end of the time."""

import html
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import Api, Person, question_of
from tests.pages.conftest import ORIGIN, Browser
from tests.support.builders import ROLE_ID

ESSAY = "First I compare the sums before and after the join.\nThen I look at the dates."


@dataclass
class Attempt:
    """An open assessment of the signed-in student."""

    browser: Browser
    started: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/learn/assessments/{self.started['assessment_id']}"

    def question(self, kind: str) -> str:
        question = question_of(self.started, kind)
        return f"{self.path}/questions/{self.started['questions'].index(question) + 1}"

    async def autosave(self, kind: str, version: str = "none", **fields: str) -> Any:
        headers = {"Origin": ORIGIN, "If-Match": f'"{version}"', "Accept": "application/json"}
        headers["X-CSRF-Token"] = await self.browser.csrf()
        return await self.browser.client.post(f"{self.question(kind)}/autosave", data=fields, headers=headers)


@pytest.fixture
async def attempt(api: Api, signed_in: Browser, student: Person) -> Attempt:
    return Attempt(signed_in, await api.start(student))


async def stored(api: Api, student: Person, attempt: Attempt, kind: str) -> Any:
    path = f"/assessments/{attempt.started['assessment_id']}/questions"
    responses = (await api.get(student, path)).json()["responses"]
    question = question_of(attempt.started, kind)["question_id"]
    return next((each["answer"] for each in responses if each["question_id"] == question), None)


async def test_starting_a_role_opens_its_first_question(signed_in: Browser) -> None:
    answer = await signed_in.send(f"/learn/roles/{ROLE_ID}")

    assert re.fullmatch(r"/learn/assessments/[0-9a-f-]{36}/questions/1", answer.headers["Location"])


async def test_starting_a_role_twice_continues_the_open_assessment(signed_in: Browser, attempt: Attempt) -> None:
    assert (await signed_in.send(f"/learn/roles/{ROLE_ID}")).headers["Location"] == attempt.path


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [
        ("number", "12,5", 12.5),
        ("number", " 12.5 ", 12.5),
        ("number", "1\u202f2", 12),
        ("text", ESSAY.replace("\n", "\r\n"), ESSAY),
    ],
)
async def test_an_answer_is_stored_as_the_api_stores_it(
    api: Api, student: Person, attempt: Attempt, *, kind: str, sent: str, expected: Any
) -> None:
    answer = await attempt.browser.send(attempt.question(kind), {"version": "none", "answer": sent})

    assert answer.status_code == 303, answer.text
    assert await stored(api, student, attempt, kind) == expected


async def test_several_choices_are_stored_in_the_order_of_the_question(
    api: Api, student: Person, attempt: Attempt
) -> None:
    await attempt.browser.send(attempt.question("multiple"), {"version": "none", "choice.2": "on", "choice.0": "on"})

    choices = question_of(attempt.started, "multiple")["answer_format"]["choices"]
    assert await stored(api, student, attempt, "multiple") == {"choices": [choices[0], choices[2]]}


@pytest.mark.parametrize("text", ["1.234,5", "1,234,567", "twelve", "1e3", "٣"])
async def test_a_number_that_may_mean_two_things_is_not_guessed(attempt: Attempt, text: str) -> None:
    answer = await attempt.browser.send(attempt.question("number"), {"version": "none", "answer": text})

    assert answer.status_code == 400
    assert "must be a number such as 12.5 or 12,5" in answer.text
    assert f'value="{html.escape(text)}"' in answer.text


async def test_autosave_says_when_it_saved_and_gives_the_next_version(
    api: Api, student: Person, attempt: Attempt
) -> None:
    first = await attempt.autosave("text", answer=ESSAY)
    second = await attempt.autosave("text", first.json()["version"], answer=ESSAY + " More.")

    assert datetime.fromisoformat(first.json()["saved_at"]) <= datetime.now(UTC) + timedelta(minutes=1)
    assert (second.status_code, second.json()["answered"]) == (200, True)
    assert await stored(api, student, attempt, "text") == ESSAY + " More."


async def test_a_stale_tab_overwrites_nothing_and_receives_the_stored_answer(
    api: Api, student: Person, attempt: Attempt
) -> None:
    await attempt.autosave("text", answer="from the other tab")

    stale = await attempt.autosave("text", "none", answer="from this tab")

    assert (stale.status_code, stale.json()["answer"]) == (412, "from the other tab")
    assert await stored(api, student, attempt, "text") == "from the other tab"
    again = await attempt.autosave("text", stale.json()["version"], answer="from this tab")
    assert again.status_code == 200


async def test_a_stale_form_shows_both_answers(attempt: Attempt) -> None:
    await attempt.autosave("text", answer="from the other tab")

    answer = await attempt.browser.send(attempt.question("text"), {"version": "none", "answer": "from this tab"})

    assert answer.status_code == 412
    assert "from the other tab" in answer.text
    assert "from this tab" in answer.text


async def test_a_stale_form_keeps_the_choices_of_its_page(attempt: Attempt) -> None:
    await attempt.autosave("multiple", **{"choice.0": "on"})

    answer = await attempt.browser.send(attempt.question("multiple"), {"version": "none", "choice.2": "on"})

    assert answer.status_code == 412
    assert re.findall(r'name="choice.(\d)" value="on" checked', answer.text) == ["2"]


async def test_a_repeated_autosave_is_no_conflict(attempt: Attempt) -> None:
    await attempt.autosave("text", answer=ESSAY)

    assert (await attempt.autosave("text", "none", answer=ESSAY)).status_code == 200


async def test_clearing_an_answer_is_saved_too(api: Api, student: Person, attempt: Attempt) -> None:
    version = (await attempt.autosave("text", answer=ESSAY)).json()["version"]

    cleared = await attempt.autosave("text", version, answer="")

    assert (cleared.json()["version"], cleared.json()["answered"]) == ("none", False)
    assert await stored(api, student, attempt, "text") is None


async def test_a_flag_is_set_and_removed(attempt: Attempt) -> None:
    path = attempt.question("number")

    await attempt.browser.send(path, {"version": "none", "answer": "", "action": "flag"})
    flagged = (await attempt.browser.open(attempt.path)).text
    await attempt.browser.send(path, {"version": "none", "answer": "", "action": "flag"})

    assert ">Flagged<" in flagged
    assert ">Flagged<" not in (await attempt.browser.open(attempt.path)).text


async def test_the_hand_in_lists_what_is_missing_first(attempt: Attempt) -> None:
    await attempt.autosave("text", answer=ESSAY)

    page = (await attempt.browser.open(f"{attempt.path}/hand-in")).text

    assert f"{len(attempt.started['questions']) - 1} questions are not answered" in page


async def test_an_empty_assessment_is_not_handed_in(attempt: Attempt) -> None:
    answer = await attempt.browser.send(f"{attempt.path}/hand-in")

    assert answer.status_code == 400
    assert "Answer at least one question" in answer.text


async def test_the_hand_in_submits_what_is_stored(api: Api, student: Person, attempt: Attempt) -> None:
    await attempt.autosave("text", answer=ESSAY)

    answer = await attempt.browser.send(f"{attempt.path}/hand-in")

    assert answer.headers["Location"] == f"{attempt.path}/progress?done=handed_in"
    status = await api.get(student, f"/assessments/{attempt.started['assessment_id']}")
    assert status.json()["status"] == "awaiting_async"
    assert "Handed in" in (await attempt.browser.open(f"{attempt.path}/progress")).text


async def test_at_the_end_of_the_time_what_was_stored_is_handed_in(api: Api, student: Person, attempt: Attempt) -> None:
    await attempt.autosave("text", answer=ESSAY)
    await api.set(attempt.started["assessment_id"], expires_at=datetime.now(UTC))

    late = await attempt.autosave("text", answer="too late")

    assert late.status_code == 409
    status = await api.get(student, f"/assessments/{attempt.started['assessment_id']}")
    assert status.json()["status"] == "awaiting_async"
    assert await stored(api, student, attempt, "text") == ESSAY


@pytest.mark.parametrize("part", ["", "/questions/1", "/hand-in", "/progress", "/events"])
async def test_pages_of_another_student_do_not_exist(api: Api, signed_in: Browser, part: str) -> None:
    other = await api.start(await api.person())

    assert (await signed_in.open(f"/learn/assessments/{other['assessment_id']}{part}")).status_code == 404


async def test_the_result_shows_why_each_course_is_recommended(api: Api, signed_in: Browser, student: Person) -> None:
    publication = await api.completed(student)

    page = (await signed_in.open(f"/assessments/{publication.assessment_id}/result")).text

    for shown in ("It closes the gap.", "What a learner does.", "match 71\u00a0%", "Half of it is right.", "Halfway."):
        assert shown in page


async def test_feedback_of_a_page_is_stored_as_the_api_stores_it(api: Api, signed_in: Browser, student: Person) -> None:
    publication = await api.completed(student)
    credential = str(api.credentials[0])
    path = f"/assessments/{publication.assessment_id}/result"

    sent = {"credential_id": credential, "relevance": "4", "acceptance": "pending", "comments": "Soon."}
    answer = await signed_in.send(f"{path}/feedback", sent)

    assert answer.headers["Location"] == f"{path}?done=feedback#course-{credential}"
    advisor = await api.person("advisor")
    listed = (await api.get(advisor, f"/recommendations/{publication.recommendation_id}/feedback")).json()["items"]
    assert [(each["relevance_score"], each["acceptance_status"], each["comments"]) for each in listed] == [
        (4, "pending", "Soon.")
    ]
    assert "Your feedback: 4 of 5" in (await signed_in.open(path)).text


@pytest.mark.parametrize("relevance", ["", "0", "6", "four"])
async def test_feedback_without_a_valid_number_is_explained(
    api: Api, signed_in: Browser, student: Person, relevance: str
) -> None:
    publication = await api.completed(student)
    sent = {"credential_id": str(api.credentials[0]), "relevance": relevance}

    answer = await signed_in.send(f"/assessments/{publication.assessment_id}/result/feedback", sent)

    assert answer.status_code == 400
    assert "Choose a number from 1 to 5" in answer.text


async def test_the_right_answers_are_not_in_a_page_before_the_hand_in(attempt: Attempt) -> None:
    pages = [
        (await attempt.browser.open(f"{attempt.path}/questions/{number}")).text
        for number in range(1, len(attempt.started["questions"]) + 1)
    ]

    assert not any("tolerance" in page or '"correct"' in page for page in pages)
    assert json.dumps("explanation") not in "".join(pages)
