"""Appeal a grade by forms: open, state and answer, withdrawal, and what is not possible."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.appeals.appeal_requests import answered, completed_of, upheld
from tests.api.conftest import Api, Person, essay_of, question_of
from tests.pages.conftest import Browser
from tests.support.fake_engine import RecordingAppeals

REASON = "My second paragraph names the check."


@dataclass
class Graded:
    """A graded assessment of the signed-in student."""

    api: Api
    browser: Browser
    student: Person
    started: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/assessments/{self.started['assessment_id']}"

    def form(self, place: int = 0) -> str:
        return f"{self.path}/questions/{essay_of(self.started, place)}/appeal"

    async def appeal(self, place: int = 0, reason: str = REASON) -> httpx.Response:
        return await self.browser.send(self.form(place), {"reason": reason})

    async def page(self) -> str:
        return (await self.browser.open(f"{self.path}/result")).text

    async def stored(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.api.get(self.student, f"{self.path}/appeals")).json()["items"]
        return listed


@pytest.fixture
async def graded(api: Api, signed_in: Browser, student: Person) -> Graded:
    return Graded(api, signed_in, student, await completed_of(api, student))


async def test_an_appeal_is_stored_as_the_api_stores_it(graded: Graded, appeal_runs: RecordingAppeals) -> None:
    form = await graded.browser.open(graded.form())
    sent = await graded.appeal()

    (stored,) = await graded.stored()
    essay = essay_of(graded.started, 0)
    assert (form.status_code, "Why is the grade wrong?" in form.text) == (200, True)
    assert sent.headers["Location"] == f"{graded.path}/result?done=appealed#appeal-{essay}"
    assert (stored["question_id"], stored["state"], stored["reason"]) == (essay, "open", REASON)
    assert [str(each) for each in appeal_runs.started] == [stored["appeal_id"]]


async def test_the_result_shows_an_open_appeal_and_no_second_button(graded: Graded) -> None:
    before = (await graded.page()).count("Appeal this grade")

    await graded.appeal()

    page = await graded.page()
    assert "Waiting for an answer" in page
    assert REASON in page
    assert page.count("Appeal this grade") == before - 1


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 2001])
async def test_a_missing_or_long_reason_is_explained(graded: Graded, reason: str) -> None:
    answer = await graded.appeal(reason=reason)

    assert answer.status_code == 400
    assert answer.text.count("Say why the grade is wrong") == 2  # in the summary and next to the field
    assert await graded.stored() == []


async def test_the_longest_reason_fits_into_the_form(graded: Graded) -> None:
    answer = await graded.appeal(reason="😀" * 2000)

    assert answer.status_code == 303, answer.text
    assert [each["reason"] for each in await graded.stored()] == ["😀" * 2000]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"outcome": "rejected", "message": "The paragraph names no check."}, "Not accepted"),
        (None, "Accepted"),
    ],
)
async def test_the_answer_of_an_appeal_is_shown(graded: Graded, answer: dict[str, Any] | None, words: str) -> None:
    await graded.appeal()
    (opened,) = await graded.stored()
    advisor = await graded.api.person("advisor")
    body = answer or upheld(graded.started, message="You are right.")

    await answered(graded.api, advisor, opened["appeal_id"], body)

    page = await graded.page()
    assert words in page
    assert body["message"] in page
    assert str(advisor.id) not in page


async def test_an_appeal_is_withdrawn_once(graded: Graded, appeal_runs: RecordingAppeals) -> None:
    await graded.appeal()
    (opened,) = await graded.stored()
    path = f"{graded.path}/appeals/{opened['appeal_id']}/withdrawal"

    first, second = await graded.browser.send(path), await graded.browser.send(path)

    (withdrawn,) = await graded.stored()
    assert withdrawn["state"] == "withdrawn"
    assert "done=withdrawn" in first.headers["Location"]
    assert second.headers["Location"] == f"{graded.path}/result"
    assert "Appeal again" in await graded.page()
    assert len(appeal_runs.ended) == 1


async def test_after_the_time_for_appeals_there_is_no_button(graded: Graded) -> None:
    before = datetime.now(UTC) - timedelta(days=15)
    await graded.api.set(graded.started["assessment_id"], completed_at=before, released_at=before)

    page, form, sent = await graded.page(), await graded.browser.open(graded.form()), await graded.appeal()

    assert "Appeal this grade" not in page
    assert [each.headers["Location"] for each in (form, sent)] == [f"{graded.path}/result"] * 2
    assert await graded.stored() == []


async def test_without_appeals_left_there_is_no_button(graded: Graded) -> None:
    for _ in range(3):  # the default of `appeals_per_role`
        await graded.appeal()
        (newest, *_) = await graded.stored()
        await graded.browser.send(f"{graded.path}/appeals/{newest['appeal_id']}/withdrawal")

    page = await graded.page()

    assert "Appeal this grade" not in page
    assert "Appeal again" not in page


async def test_only_written_answers_can_be_appealed(graded: Graded) -> None:
    question = question_of(graded.started, "single")["question_id"]

    answer = await graded.browser.open(f"{graded.path}/questions/{question}/appeal")

    assert answer.headers["Location"] == f"{graded.path}/result"
    assert (await graded.page()).count(">Appeal this grade<") == len(
        [each for each in graded.started["questions"] if each["answer_format"]["kind"] == "text"]
    )


async def test_an_appeal_of_another_students_result_is_not_possible(api: Api, signed_in: Browser) -> None:
    other = await api.person()
    theirs = Graded(api, signed_in, other, await completed_of(api, other))

    form, sent = await signed_in.open(theirs.form()), await theirs.appeal()

    assert (form.status_code, sent.status_code) == (404, 404)
    assert await theirs.stored() == []
