"""An advisor in a browser: a review by keyboard alone, and every page of advisors checked with axe-core."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.chromium import screens
from tests.support.deployment import ADMIN, ADVISOR, CLASSMATES, PASSWORD, Deployment
from tests.support.student_client import Attempt

REASON = "My second paragraph names the check that the grade says is missing."


@pytest.fixture(scope="module")
def graded(site: Deployment) -> Attempt:
    """A graded assessment whose essays wait as audit samples; the first essay has an open appeal."""
    admin = site.log_in(ADMIN)
    admin.patch("/api/v1/organization/settings", json={"audit_share": 1.0}).raise_for_status()
    http = site.log_in(CLASSMATES[2])
    attempt = Attempt.start(http)
    attempt.submit().raise_for_status()
    attempt.result()
    essay = next(each for each in attempt.questions if each["answer_format"]["kind"] == "text")
    body = {"question_id": essay["question_id"], "reason": REASON}
    http.post(f"/api/v1/assessments/{attempt.id}/appeals", json=body).raise_for_status()
    made = admin.post("/api/v1/cohorts", json={"name": "Spring"})
    members = {"user_ids": [str(http.get("/api/v1/me").json()["user_id"])]}
    admin.post(f"/api/v1/cohorts/{made.json()['cohort_id']}/members", json=members).raise_for_status()
    return attempt


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(ADVISOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/overview")


def press_until(page: Page, selector: str, key: str = "Tab") -> None:
    for _ in range(80):
        if page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} was not reached by keyboard")


def test_every_page_of_advisors(page: Page, graded: Attempt) -> None:
    sign_in(page)
    found = screens(page, "advisor-overview")
    page.get_by_role("link", name="Spring").click()
    page.wait_for_url("**/skills")
    found += screens(page, "advisor-cohort")
    for name, path in {
        "queue": "/reviews",
        "assessments": "/assessments",
        "assessment": f"/assessments/{graded.id}",
        "appeals": "/appeals",
        "appeals-closed": "/appeals?state=rejected",
    }.items():
        page.goto(path)
        found += screens(page, f"advisor-{name}")
    page.goto("/appeals")
    page.get_by_role("link", name=re.compile("^Answer")).click()
    page.get_by_role("button", name="Send the answer").click()
    found += screens(page, "advisor-appeal-refused")
    page.goto("/assessments")
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/students/*")
    found += screens(page, "advisor-student")
    page.goto("/reviews?reason=audit_sample")
    page.get_by_role("link", name=re.compile("^Open")).last.click()
    found += screens(page, "advisor-desk-unclaimed")
    page.get_by_role("button", name="Take this essay").click()
    expect(page.get_by_text("Yours until")).to_be_visible()
    found += screens(page, "advisor-desk")
    page.get_by_role("button", name="Give it back").click()
    found += screens(page, "advisor-queue-released")

    assert found == []


def test_an_essay_is_reviewed_by_keyboard_alone(site: Deployment, page: Page, graded: Attempt) -> None:
    keys = page.keyboard
    page.goto("/sign-in")
    press_until(page, "[name=email]")
    keys.type(ADVISOR)
    press_until(page, "[name=password]")
    keys.type(PASSWORD)
    keys.press("Enter")
    page.wait_for_url("**/overview")
    press_until(page, "nav a[href='/reviews']")
    keys.press("Enter")
    page.wait_for_url("**/reviews")
    press_until(page, "#filter-reason")
    keys.type("Audit")
    press_until(page, ".filter button")
    keys.press("Enter")
    page.wait_for_url("**reason=audit_sample**")
    press_until(page, "form[action='/reviews/next'] button", "Shift+Tab")
    keys.press("Enter")
    page.wait_for_url("**/reviews/items/*")
    desk = page.url
    criteria = page.locator("[data-desk] [data-criterion]").count()
    expect(page.locator("[data-criterion='1'] input:focus")).to_have_count(1)
    for _ in range(criteria):
        keys.press("1")
    expect(page.locator("#comment:focus")).to_have_count(1)
    keys.type("Read twice.")
    keys.press("Control+Enter")
    page.wait_for_url(lambda url: url != desk)

    expect(page.get_by_text("Your review is stored")).to_be_visible()
    stored = site.rows("SELECT comment FROM essay_reviews WHERE assessment_id = %s", graded.id)
    assert stored == [("Read twice.",)]
    assert criteria > 0
