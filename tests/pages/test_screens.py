"""The pages before a result at both widths, in light and dark: axe-core finds nothing, and the screenshots are kept."""

import pytest
from playwright.sync_api import Page

from domain.ids import derived_id
from tests.pages.chromium import screens
from tests.pages.journeys import sign_in
from tests.support.deployment import CLASSMATES, STUDENT, Deployment
from tests.support.student_client import ROLES, Attempt, response_to

pytestmark = pytest.mark.timeout(600)

NEWCOMER = STUDENT
_, BUSY, WAITING = CLASSMATES
"""`test_journey.py` uses the same site, and other roles of these students. It has nothing of NEWCOMER."""


@pytest.fixture(scope="module")
def open_attempt(site: Deployment) -> Attempt:
    """An assessment of BUSY with some answers."""
    attempt = Attempt.start(site.log_in(BUSY))
    attempt.send([response_to(each) for each in attempt.questions[:6]]).raise_for_status()
    return attempt


def place(attempt: Attempt, kind: str) -> int:
    """Return the number of the first question of this kind."""
    kinds = [question["answer_format"]["kind"] for question in attempt.questions]
    return kinds.index(kind) + 1


def test_pages_without_an_account(page: Page) -> None:
    page.goto("/sign-in")
    found = screens(page, "sign-in")
    page.get_by_role("button", name="Sign in").click()
    found += screens(page, "sign-in-refused")

    assert found == []


def test_pages_of_a_newcomer(page: Page) -> None:
    sign_in(page, NEWCOMER)
    found = []
    for name, path in {
        "student-home-empty": "/learn",
        "student-role": f"/learn/roles/{derived_id('role', ROLES[0])}",
        "password": "/account/password",
        "error-404": "/nothing-here",
    }.items():
        page.goto(path)
        found += screens(page, name)

    assert found == []


def test_pages_of_an_open_assessment(page: Page, open_attempt: Attempt) -> None:
    sign_in(page, BUSY)
    base = f"/learn/assessments/{open_attempt.id}"
    found = []
    for kind in ("single", "multiple", "number", "scale", "text"):
        page.goto(f"{base}/questions/{place(open_attempt, kind)}")
        if kind == "text":
            page.get_by_text("How your answer is graded").click()
        found += screens(page, f"student-question-{kind}")
    page.get_by_role("button", name="Flag for later").click()
    for name, path in {"overview": base, "hand-in": f"{base}/hand-in", "home-open": "/learn"}.items():
        page.goto(path)
        found += screens(page, f"student-{name}")

    assert found == []


def test_the_progress_page(site: Deployment, page: Page) -> None:
    attempt = Attempt.start(site.log_in(WAITING), ROLES[1])
    attempt.submit().raise_for_status()
    sign_in(page, WAITING)
    page.goto(f"/learn/assessments/{attempt.id}/progress")

    assert screens(page, "student-progress") == []
