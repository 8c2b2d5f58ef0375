"""Steps of a student in a browser."""

import re
from typing import Final

from playwright.sync_api import Page, expect

from tests.support.deployment import PASSWORD

ESSAY: Final = (
    "First I count the rows per order after the join, because a payment in three parts shows it three times. "
    "Then I add up the order lines alone and compare both sums for every day of the last four weeks. "
    "I check that all loads arrived and look at the same holiday of last year before I blame the holiday. "
    "Finally I tell the team in two sentences what is known, what is not, and when they get checked numbers."
)


def sign_in(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My assessments")


def start(page: Page) -> None:
    """Start the assessment whose description is open."""
    page.get_by_role("button", name="Start now").click()
    expect(page.get_by_text("Question 1 of")).to_be_visible()


def assessment_of(page: Page) -> str:
    """Return the id of the assessment that is open."""
    found = re.search(r"/learn/assessments/([0-9a-f-]{36})", page.url)
    assert found is not None, page.url
    return found[1]


def answer_all(page: Page, essay: str = ESSAY) -> None:
    """Answer all questions of the open assessment in their order; end on the hand-in page."""
    page.goto(f"/learn/assessments/{assessment_of(page)}/questions/1")
    while "/questions/" in page.url:
        if page.locator("textarea").count():
            page.get_by_role("textbox").fill(essay)
        elif page.locator("input[type=checkbox]").count():
            page.locator("input[type=checkbox]").first.check()
        elif page.locator("input[type=radio]").count():
            page.locator("input[type=radio]").first.check()
        else:
            page.get_by_role("textbox").fill("12,5")
        page.get_by_role("button", name=re.compile("Save and")).click()


def hand_in(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Hand in")).click()
    expect(page.get_by_text("Handed in")).to_be_visible()
