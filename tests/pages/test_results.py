"""The result page: what a student may see of a result, highlighted quotes, attempts that are left."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import update

from api.pages.routing import PageRoute
from domain.assessments.results import Publication
from persistence.tables import RoleRow, UserRow
from tests.api.conftest import Api, Person, question_of
from tests.api.release_desk import Desk
from tests.api.test_held_results import FEEDBACK, SECRETS
from tests.api.test_items import ESSAY, graded
from tests.pages.conftest import Browser
from tests.support.builders import ROLE_ID

KEY = "Half of it is right."
"""The explanation of every rule score of `a_result`; it contains the right answer."""


@pytest.fixture(autouse=True)
async def default_rules(api: Api) -> AsyncIterator[None]:
    """Reset the role's rules after each test."""
    yield
    await set_rules(api, reveal="always", attempts=None, cool_down_hours=0)


async def set_rules(api: Api, **rules: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(RoleRow).where(RoleRow.id == ROLE_ID).values(**rules))
        await session.commit()


@dataclass
class Reader:
    """A signed-in student who opens every page."""

    app: FastAPI
    browser: Browser

    async def everything(self, publication: Publication, question_id: str) -> dict[str, str]:
        """Return the body of each page by its path. Event streams have their own tests."""
        ids = {"assessment_id": str(publication.assessment_id), "role_id": str(ROLE_ID), "question_id": question_id}
        paths = [
            route.path or "/"
            for route in iter_route_contexts(self.app.routes)
            if isinstance(route.original_route, PageRoute) and "GET" in (route.methods or ())
        ]
        found = {}
        for path in paths:
            if path.endswith("/events"):
                continue
            names = re.findall(r"{(\w+)}", path)
            values = {name: ids.get(name, "1" if name == "number" else ids["assessment_id"]) for name in names}
            answer = await self.browser.open(path.format_map(values))
            assert answer.status_code < 500, path
            found[path] = answer.text
        return found


def shown(pages: dict[str, str], secrets: set[str]) -> set[str]:
    """Return the paths of pages that contain one of the texts."""
    return {path for path, body in pages.items() if any(secret in body for secret in secrets)}


RESULT = "/assessments/{assessment_id}/result"


@dataclass
class Held:
    desk: Desk
    browser: Browser
    reader: Reader

    async def result(self, publication: Publication) -> Any:
        return await self.browser.open(f"/assessments/{publication.assessment_id}/result")


@pytest.fixture
async def held(api: Api, app: FastAPI, browser: Browser, password_hash: str) -> Callable[[str], Awaitable[Held]]:
    async def of(policy: str) -> Held:
        desk = await Desk.of(api, policy)
        async with api.sessions() as session:
            change = update(UserRow).where(UserRow.id == desk.student.id).values(password_hash=password_hash)
            await session.execute(change)
            await session.commit()
        assert (await browser.sign_in(desk.student)).status_code == 303
        return Held(desk, browser, Reader(app, browser))

    return of


async def a_question(api: Api, student: Person, publication: Publication) -> str:
    asked = (await api.get(student, f"/assessments/{publication.assessment_id}/questions")).json()["questions"]
    return str(question_of({"questions": asked}, "text")["question_id"])


async def test_no_page_shows_a_held_result(api: Api, held: Callable[[str], Awaitable[Held]]) -> None:
    site = await held("all_held")
    publication = await site.desk.completed(feedback=FEEDBACK)
    question = await a_question(api, site.desk.student, publication)

    before = await site.reader.everything(publication, question)
    await site.desk.release(publication)
    after = await site.reader.everything(publication, question)

    assert shown(before, SECRETS) == set()
    assert RESULT in shown(after, {FEEDBACK})


async def test_the_progress_says_that_a_reviewer_checks_a_held_result(held: Callable[[str], Awaitable[Held]]) -> None:
    site = await held("all_held")
    publication = await site.desk.completed()
    path = f"/learn/assessments/{publication.assessment_id}/progress"

    result = await site.result(publication)
    progress = (await site.browser.open(path)).text
    home = (await site.browser.open("/learn")).text

    assert result.headers["Location"] == path
    assert "<title>A reviewer is checking your result" in progress
    assert 'data-title="A reviewer is checking your result"' in progress  # for the script that follows the grading
    assert "A person checks the result before you see it" in progress
    assert "Waiting for a reviewer" in home
    assert "Open result" not in progress + home


async def test_the_progress_of_a_released_result_leads_to_it_and_does_not_reload(
    held: Callable[[str], Awaitable[Held]],
) -> None:
    site = await held("at_once")
    publication = await site.desk.completed()

    progress = (await site.browser.open(f"/learn/assessments/{publication.assessment_id}/progress")).text

    assert "<title>Your result is ready" in progress
    assert f'href="/assessments/{publication.assessment_id}/result"' in progress
    assert 'http-equiv="refresh"' not in progress


async def test_a_held_result_takes_neither_feedback_nor_an_appeal(
    api: Api, held: Callable[[str], Awaitable[Held]]
) -> None:
    site = await held("all_held")
    publication = await site.desk.completed()
    question = await a_question(api, site.desk.student, publication)
    base = f"/assessments/{publication.assessment_id}"

    rated = await site.browser.send(
        f"{base}/result/feedback", {"credential_id": str(api.credentials[0]), "relevance": "4"}
    )
    appealed = await site.browser.send(f"{base}/questions/{question}/appeal", {"reason": "It is wrong."})

    assert rated.status_code == 404
    assert appealed.headers["Location"] == f"{base}/result"
    assert (await api.get(site.desk.student, f"{base}/appeals")).json()["items"] == []


async def test_while_a_later_revision_is_held_the_released_one_is_shown(
    api: Api, held: Callable[[str], Awaitable[Held]]
) -> None:
    site = await held("doubtful_held")
    publication = await site.desk.completed(feedback="The first words.")
    question = await a_question(api, site.desk.student, publication)

    later = await api.publish(str(publication.assessment_id), points=Decimal(1), feedback=FEEDBACK)
    pages = await site.reader.everything(publication, question)

    assert later.held
    assert shown(pages, {FEEDBACK}) == set()
    assert "The first words." in pages[RESULT]
    assert "2 / 4" in pages[RESULT]


@pytest.mark.parametrize(
    ("reveal", "words"),
    [("never", "is not shown for this role"), ("after_last_attempt", "is shown after your last attempt")],
)
async def test_no_page_shows_a_withheld_key(
    api: Api, app: FastAPI, signed_in: Browser, student: Person, *, reveal: str, words: str
) -> None:
    await set_rules(api, reveal=reveal, attempts=2)
    publication = await api.completed(student)
    question = await a_question(api, student, publication)

    pages = await Reader(app, signed_in).everything(publication, question)

    assert shown(pages, {KEY}) == set()
    assert words in pages[RESULT]
    assert "Halfway." in pages[RESULT]  # feedback is about the student's own text


async def test_the_key_is_shown_after_the_last_attempt(api: Api, signed_in: Browser, student: Person) -> None:
    await set_rules(api, reveal="after_last_attempt", attempts=1)
    publication = await api.completed(student)

    assert KEY in (await signed_in.open(f"/assessments/{publication.assessment_id}/result")).text


async def test_the_contents_link_to_the_sections_of_a_result(api: Api, signed_in: Browser, student: Person) -> None:
    publication = await api.completed(student)

    page = (await signed_in.open(RESULT.format(assessment_id=publication.assessment_id))).text

    contents = page.partition('<nav class="contents')[2].partition("</nav>")[0]
    linked = re.findall(r'<li><a href="#([a-z-]+)">', contents)
    assert linked == ["summary-heading", "skills-heading", "courses-heading", "questions-heading"]
    assert [f'id="{each}"' in page for each in linked] == [True] * 4


async def test_quotes_are_highlighted_in_the_students_own_text(api: Api, signed_in: Browser, student: Person) -> None:
    started = await api.start(student)
    essay = question_of(started, "text")
    answer = {"question_id": essay["question_id"], "answer": ESSAY}
    await api.send(student, started["assessment_id"], answer, completed=True)
    await api.publish(started["assessment_id"], **graded(essay))

    page = (await signed_in.open(f"/assessments/{started['assessment_id']}/result")).text

    text = page.split('<div class="own-text preserve" dir="auto">')[1].split("</div>")[0]
    assert re.findall(r"<mark[^>]*>([^<]*)</mark>", text) == ["So “paid orders” are", "cafe\u0301 by café"]
    assert re.sub(r"<sup.*?</sup>|<[^>]+>", "", text) == ESSAY
    assert "<q>a passage that is not there</q>" in page
    assert essay["rubric"]["criteria"][0]["levels"][1]["name"] in page


async def test_staff_see_the_answers_too(
    api: Api, new_browser: Callable[[], Browser], student: Person, password_hash: str
) -> None:
    """As `GET /assessments/{id}/items` shows them."""
    started = await api.start(student)
    essay = question_of(started, "text")
    answer = {"question_id": essay["question_id"], "answer": ESSAY}
    await api.send(student, started["assessment_id"], answer, completed=True)
    await api.publish(started["assessment_id"])
    advisor = new_browser()
    await advisor.sign_in(await api.person("advisor", password_hash=password_hash))

    page = (await advisor.open(f"/assessments/{started['assessment_id']}/result")).text

    assert "The join drops rows." in page
    assert "Appeal this grade" not in page


async def test_home_and_role_say_how_many_attempts_are_left(api: Api, signed_in: Browser, student: Person) -> None:
    await set_rules(api, attempts=2)
    await api.completed(student)

    home, role = (await signed_in.open("/learn")).text, (await signed_in.open(f"/learn/roles/{ROLE_ID}")).text

    assert "1 attempt left" in home
    assert "1 of 2 left" in role
    assert "Start now" in role


async def test_without_attempts_left_there_is_nothing_to_start(api: Api, signed_in: Browser, student: Person) -> None:
    await set_rules(api, attempts=1)
    await api.completed(student)

    home, role = (await signed_in.open("/learn")).text, (await signed_in.open(f"/learn/roles/{ROLE_ID}")).text
    started = await signed_in.send(f"/learn/roles/{ROLE_ID}")

    assert "No attempts left" in home
    assert "You have used all attempts at this role" in role
    assert "Start now" not in role
    assert started.headers["Location"] == f"/learn/roles/{ROLE_ID}"


async def test_during_the_cool_down_the_pages_say_when_it_ends(api: Api, signed_in: Browser, student: Person) -> None:
    await set_rules(api, cool_down_hours=48)
    await api.completed(student)

    home, role = (await signed_in.open("/learn")).text, (await signed_in.open(f"/learn/roles/{ROLE_ID}")).text
    started = await signed_in.send(f"/learn/roles/{ROLE_ID}")

    assert "Again from" in home
    assert "You cannot start again yet" in role
    assert "2 days" in role
    assert started.headers["Location"] == f"/learn/roles/{ROLE_ID}"


async def test_an_assessment_whose_time_is_over_can_be_started_again(
    api: Api, signed_in: Browser, student: Person
) -> None:
    expired = await api.start(student)
    await api.set(expired["assessment_id"], expires_at=datetime.now(UTC))

    home = (await signed_in.open("/learn")).text
    started = await signed_in.send(f"/learn/roles/{ROLE_ID}")

    assert f"/learn/roles/{ROLE_ID}" in home
    assert UUID(started.headers["Location"].split("/")[3]) != UUID(expired["assessment_id"])
