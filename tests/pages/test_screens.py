"""Every page at both widths, in light and dark: axe-core finds nothing, and the screenshots are kept."""

import re

import pytest
from playwright.sync_api import Page, expect

from domain.ids import derived_id
from tests.pages.chromium import screens
from tests.pages.journeys import sign_in
from tests.support.deployment import ADMIN, CLASSMATES, Deployment, eventually, frozen
from tests.support.student_client import ROLES, Attempt, response_to

pytestmark = [pytest.mark.load, pytest.mark.timeout(1200)]

NEWCOMER, BUSY, FINISHED = CLASSMATES
WAIT_MS = 120_000


@pytest.fixture(scope="module")
def open_attempt(site: Deployment) -> Attempt:
    """An assessment of BUSY with some answers."""
    attempt = Attempt.start(site.log_in(BUSY))
    attempt.send([response_to(each) for each in attempt.questions[:6]]).raise_for_status()
    return attempt


@pytest.fixture(scope="module")
def finished(site: Deployment) -> Attempt:
    """A graded assessment of FINISHED."""
    attempt = Attempt.start(site.log_in(FINISHED))
    attempt.submit().raise_for_status()
    attempt.result()
    return attempt


def place(attempt: Attempt, kind: str) -> int:
    """Return the number of the first question of this kind."""
    kinds = [question["answer_format"]["kind"] for question in attempt.questions]
    return kinds.index(kind) + 1


def unfold(page: Page) -> None:
    for each in page.locator("main details").all():
        each.evaluate("each => each.setAttribute('open', '')")


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


def test_pages_of_a_finished_assessment(page: Page, finished: Attempt) -> None:
    sign_in(page, FINISHED)
    page.goto("/learn")
    found = screens(page, "student-home-finished")
    page.goto(f"/assessments/{finished.id}/result")
    found += screens(page, "student-result")
    unfold(page)
    found += screens(page, "student-result-opened")

    assert found == []


def test_pages_of_an_appeal(page: Page, finished: Attempt) -> None:
    sign_in(page, FINISHED)
    page.goto(f"/assessments/{finished.id}/result")
    page.locator("details.answer").last.locator("summary").first.click()
    page.get_by_role("link", name="Appeal this grade").last.click()
    page.get_by_role("button", name="Send the appeal").click()
    found = screens(page, "student-appeal-refused")
    page.get_by_label("Why is the grade wrong?").fill("My second sentence names the comparison that is missing.")
    found += screens(page, "student-appeal")
    page.get_by_role("button", name="Send the appeal").click()
    expect(page.get_by_text("Your appeal is sent.")).to_be_visible()
    expect(page.get_by_text("Waiting for an answer")).to_be_visible()  # the link opens the question
    found += screens(page, "student-result-appealed")

    assert found == []


def test_pages_without_attempts_left(site: Deployment, page: Page, finished: Attempt) -> None:
    assert finished.id
    role = str(derived_id("role", ROLES[0]))
    site.rows("UPDATE role_catalog SET attempts = 1, cool_down_hours = 48 WHERE id = %s RETURNING id", role)
    try:
        sign_in(page, FINISHED)
        page.goto(f"/learn/roles/{role}")
        found = screens(page, "student-role-no-attempts")
        site.rows("UPDATE role_catalog SET attempts = 3 WHERE id = %s RETURNING id", role)
        page.reload()
        found += screens(page, "student-role-cool-down")
    finally:
        site.rows("UPDATE role_catalog SET attempts = NULL, cool_down_hours = 0 WHERE id = %s RETURNING id", role)

    assert found == []


def test_the_progress_of_a_result_that_a_reviewer_checks(site: Deployment, page: Page) -> None:
    settings = site.log_in(ADMIN)
    settings.patch("/organization/settings", json={"release": "all_held"}).raise_for_status()
    try:
        attempt = Attempt.start(site.log_in(BUSY), ROLES[4])
        attempt.submit().raise_for_status()
        eventually(lambda: site.status(attempt.id) == "completed")
    finally:
        settings.patch("/organization/settings", json={"release": "at_once"}).raise_for_status()
    sign_in(page, BUSY)

    page.goto(f"/assessments/{attempt.id}/result")

    expect(page.get_by_role("heading", level=1)).to_have_text("A reviewer is checking your result")
    assert screens(page, "student-progress-in-review") == []


def test_the_progress_page_becomes_the_result(site: Deployment, page: Page) -> None:
    with frozen(site.worker.process):  # the grading waits until the pictures are taken
        attempt = Attempt.start(site.log_in(NEWCOMER), ROLES[1])
        attempt.submit().raise_for_status()
        sign_in(page, NEWCOMER)
        page.goto(f"/learn/assessments/{attempt.id}/progress")
        found = screens(page, "student-progress")
    page.wait_for_url(re.compile("/result"), timeout=WAIT_MS)

    assert found == []
