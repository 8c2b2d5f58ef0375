"""A student in a browser until the result: by keyboard alone, and the pages of results checked with axe-core."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from domain.ids import derived_id
from tests.pages.chromium import chromium, opened_page, screens
from tests.pages.journeys import ESSAY, sign_in
from tests.support import model_server
from tests.support.databases import Databases
from tests.support.deployment import ADMIN, CLASSMATES, PASSWORD, STUDENT, Deployment, eventually, frozen
from tests.support.model_server import ModelServer
from tests.support.student_client import ROLES, Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

NEWCOMER, BUSY, FINISHED = CLASSMATES
RESULT_WITHIN_MS = 150_000


@pytest.fixture(scope="module")
def site(seeded_template: tuple[Databases, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The API and a worker that grades essays with the model server, for all tests of this module."""
    databases, name = seeded_template
    with databases.new("pages", name) as url, ModelServer() as model:
        environment = {"OPENAI_API_KEY": model_server.KEY, "OPENAI_BASE_URL": model.base_url}
        with Deployment(tmp_path_factory.mktemp("site"), url, environment) as deployment:
            yield deployment


@pytest.fixture(scope="module")
def chrome(site: Deployment) -> Iterator[Browser]:
    """Chromium, which starts after the site, because Playwright blocks `asyncio.run` until it stops."""
    assert site.api_url
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(site: Deployment, chrome: Browser) -> Iterator[Page]:
    with opened_page(chrome, site.api_url) as page:
        yield page


@pytest.fixture(scope="module")
def finished(site: Deployment) -> Attempt:
    """A graded assessment of FINISHED."""
    attempt = Attempt.start(site.log_in(FINISHED))
    attempt.submit().raise_for_status()
    attempt.result()
    return attempt


def unfold(page: Page) -> None:
    for each in page.locator("main details").all():
        each.evaluate("each => each.setAttribute('open', '')")


def test_an_assessment_is_taken_by_keyboard_alone(page: Page) -> None:
    keys = page.keyboard

    def press_until(selector: str, key: str = "Tab") -> None:
        for _ in range(60):
            if page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
                return
            keys.press(key)
        raise AssertionError(f"{selector} was not reached by keyboard")

    page.goto("/sign-in")
    press_until("[name=email]")
    keys.type(STUDENT)
    press_until("[name=password]")
    keys.type(PASSWORD)
    keys.press("Enter")
    page.wait_for_url("**/learn")
    press_until(f"[href='/learn/roles/{derived_id('role', ROLES[2])}']")
    keys.press("Enter")
    page.wait_for_url("**/learn/roles/*")
    press_until("main button")
    keys.press("Enter")
    page.wait_for_url("**/questions/1")
    while "/questions/" in page.url:
        before = page.url
        press_until("[name=answer], [name^=choice]")
        if page.evaluate("document.activeElement.type === 'text'"):
            keys.type("10,5")
        elif page.evaluate("document.activeElement.tagName === 'TEXTAREA'"):
            keys.insert_text(ESSAY)
        else:
            keys.press("Space")
        press_until("button[value=next]")
        keys.press("Enter")
        page.wait_for_url(lambda url, before=before: url != before)  # type: ignore[misc]
    press_until("main form button")
    keys.press("Enter")
    page.wait_for_url(re.compile("/(progress|result)"))
    page.wait_for_url(re.compile("/result"), timeout=RESULT_WITHIN_MS)
    expect(page.get_by_role("heading", name="Your skills")).to_be_visible()


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
    page.wait_for_url(re.compile("/result"), timeout=RESULT_WITHIN_MS)

    assert found == []
