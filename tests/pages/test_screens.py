"""Every page at both widths, in light and dark: axe-core finds nothing, and the screenshots are kept."""

import re

from playwright.sync_api import Page, expect

from tests.pages.chromium import screens
from tests.pages.journeys import ESSAY, answer_all, hand_in, sign_in, start
from tests.support.deployment import CLASSMATES, Deployment


def test_pages_of_a_student(site: Deployment, page: Page) -> None:  # one student's way
    found = []

    def look(name: str) -> None:
        found.extend(screens(page, name))

    page.goto("/sign-in")
    look("sign-in")
    page.get_by_role("button", name="Sign in").click()
    look("sign-in-refused")
    sign_in(page, CLASSMATES[0])
    look("student-home-empty")
    page.goto("/account/password")
    look("password")
    page.goto("/nothing-here")
    look("error-404")
    page.goto("/learn")
    page.get_by_role("link", name=re.compile("Read more and start.*Data analyst", re.IGNORECASE)).click()
    look("student-role")
    start(page)
    kinds: set[str] = set()
    while True:
        kind = page.locator("form.question").evaluate(
            "form => form.querySelector('textarea') ? 'text' : form.querySelector('[type=checkbox]') ? 'multiple'"
            " : form.querySelector('[type=radio]') ? 'single' : 'number'"
        )
        if kind not in kinds:
            kinds.add(kind)
            look(f"student-question-{kind}")
        if kind == "text":
            page.get_by_role("textbox").fill(ESSAY)
            expect(page.locator("[data-kind=saved]")).to_be_visible()
            page.get_by_text("How your answer is graded").click()
            look("student-question-text-saved")
            break
        page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("button", name="Flag for later").click()
    page.goto("/learn")
    look("student-home-open")
    page.get_by_role("link", name=re.compile("Continue")).click()
    look("student-overview")
    page.get_by_role("link", name="Hand in", exact=True).click()
    look("student-hand-in")
    answer_all(page)
    site.worker.stop()
    hand_in(page)
    look("student-progress")
    site.start_worker()
    page.wait_for_url(re.compile("/result"), timeout=120_000)
    look("student-result")
    for each in page.locator("details").all():
        each.evaluate("each => each.setAttribute('open', '')")
    page.locator(".account-menu").evaluate("each => each.removeAttribute('open')")
    look("student-result-opened")
    page.goto("/learn")
    look("student-home-finished")
    assert found == []
