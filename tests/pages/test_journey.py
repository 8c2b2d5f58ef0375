"""What happens to a student's text when the connection, the API, the session or the tab goes away."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from domain.ids import derived_id
from tests.pages.journeys import ESSAY, assessment_of, sign_in, start
from tests.support.deployment import CLASSMATES, PASSWORD, Deployment
from tests.support.student_client import ROLES, Attempt

pytestmark = pytest.mark.timeout(600)

SAVED = "[data-save-state][data-kind=saved]"
WAITING = "[data-save-state][data-kind=waiting]"
SAVE = re.compile("Save and")
WAIT_MS = 120_000


def essay_page(page: Page, email: str, role: str) -> None:
    """Start an assessment of the role and open its first essay."""
    sign_in(page, email)
    page.goto(f"/learn/roles/{derived_id('role', role)}")
    start(page)
    base = f"/learn/assessments/{assessment_of(page)}"
    number = 1
    while not page.locator("textarea").count():
        number += 1
        page.goto(f"{base}/questions/{number}")


def stored_essays(site: Deployment, assessment_id: str) -> list[str]:
    rows = site.rows("SELECT answer #>> '{}' FROM assessment_responses WHERE assessment_id = %s", assessment_id)
    return [str(answer) for (answer,) in rows]


def test_what_was_not_saved_survives_a_killed_api_and_a_closed_tab(site: Deployment, page: Page) -> None:
    essay_page(page, CLASSMATES[0], ROLES[0])
    assessment_id, path = assessment_of(page), page.url
    page.locator("textarea").fill("This was saved before the crash.")
    expect(page.locator(SAVED)).to_contain_text("Saved")

    site.api.kill()
    page.locator("textarea").fill("This was saved before the crash. And this was written during it.")
    expect(page.locator(WAITING)).to_be_visible()
    stored = stored_essays(site, assessment_id)
    page.goto("about:blank")
    site.start_api()
    page.goto(path)

    assert stored == ["This was saved before the crash."]
    expect(page.locator("textarea")).to_have_value("This was saved before the crash. And this was written during it.")
    expect(page.locator(SAVED)).to_contain_text("Saved")
    assert stored_essays(site, assessment_id) == ["This was saved before the crash. And this was written during it."]


def test_a_text_is_sent_again_when_the_connection_returns(site: Deployment, page: Page) -> None:
    essay_page(page, CLASSMATES[1], ROLES[1])
    page.context.set_offline(True)
    page.locator("textarea").fill(ESSAY)
    expect(page.locator(WAITING)).to_contain_text("no connection")

    page.context.set_offline(False)

    expect(page.locator(SAVED)).to_contain_text("Saved")
    assert stored_essays(site, assessment_of(page)) == [ESSAY]


def test_a_stale_tab_shows_both_versions_and_overwrites_nothing(site: Deployment, page: Page) -> None:
    essay_page(page, CLASSMATES[2], ROLES[2])
    other = page.context.new_page()
    other.goto(page.url)
    other.locator("textarea").fill("from the other tab")
    expect(other.locator(SAVED)).to_contain_text("Saved")

    page.locator("textarea").fill("from this tab")

    expect(page.locator("[data-conflict]")).to_be_visible()
    expect(page.locator("[data-conflict-stored]")).to_have_text("from the other tab")
    expect(page.locator("textarea")).to_have_value("from this tab")
    assert stored_essays(site, assessment_of(page)) == ["from the other tab"]
    page.get_by_role("button", name="Keep what is on this page").click()
    expect(page.locator(SAVED)).to_contain_text("Saved")
    assert stored_essays(site, assessment_of(page)) == ["from this tab"]


def test_at_the_end_of_the_time_the_last_words_are_handed_in(site: Deployment, page: Page) -> None:
    page.clock.install()  # the browser's clock only
    essay_page(page, CLASSMATES[0], ROLES[3])
    assessment_id = assessment_of(page)
    ((expires_at,),) = site.rows("SELECT expires_at FROM assessments WHERE id = %s", assessment_id)
    page.clock.pause_at(expires_at - timedelta(seconds=50))
    expect(page.get_by_text("1 minute left")).to_be_visible()
    page.locator("textarea").fill("The last words.")
    page.clock.fast_forward(47_000)
    expect(page.locator(SAVED)).to_contain_text("Saved")
    site.rows("UPDATE assessments SET expires_at = now() WHERE id = %s RETURNING id", assessment_id)

    page.clock.fast_forward(10_000)

    page.wait_for_url(re.compile("/(progress|result)"), timeout=WAIT_MS)
    assert stored_essays(site, assessment_id) == ["The last words."]


def test_an_open_essay_survives_the_end_of_the_session(site: Deployment, page: Page) -> None:
    attempt = Attempt.start(site.log_in(CLASSMATES[1]), ROLES[3])
    sign_in(page, CLASSMATES[1])
    kinds = [question["answer_format"]["kind"] for question in attempt.questions]
    page.goto(f"/learn/assessments/{attempt.id}/questions/{kinds.index('text') + 1}")
    site.rows("DELETE FROM web_sessions RETURNING id")

    page.locator("textarea").fill("Written after the session had ended.")
    expect(page.locator("[data-save-state]")).to_contain_text("your session has ended")
    other = page.context.new_page()
    sign_in(other, CLASSMATES[1])

    expect(page.locator(SAVED)).to_contain_text("Saved")
    assert stored_essays(site, attempt.id) == ["Written after the session had ended."]


def test_a_click_on_save_after_the_end_of_the_session_leads_back_to_the_text(site: Deployment, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1000})  # no scrolling: a shorter message would move the button
    essay_page(page, CLASSMATES[0], ROLES[1])
    assessment_id, path = assessment_of(page), page.url
    site.rows("DELETE FROM web_sessions RETURNING id")
    page.locator("textarea").fill("Written after the session had ended.")
    expect(page.locator("[data-save-state]")).to_contain_text("your session has ended")

    page.get_by_role("button", name=SAVE).click()
    expect(page.get_by_label("What you wrote")).to_have_value("Written after the session had ended.")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_label("E-mail address").fill(CLASSMATES[0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator(SAVED)).to_contain_text("Saved")
    assert page.url == path
    assert stored_essays(site, assessment_id) == ["Written after the session had ended."]


def test_a_click_on_save_is_not_lost_while_the_service_is_silent_after_the_end_of_the_session(
    site: Deployment, page: Page
) -> None:
    page.add_init_script("AbortSignal.timeout = ((of) => (ms) => of.call(AbortSignal, ms / 20))(AbortSignal.timeout)")
    essay_page(page, CLASSMATES[1], ROLES[2])
    site.rows("DELETE FROM web_sessions RETURNING id")
    page.route(page.url, lambda route: None if route.request.resource_type == "fetch" else route.continue_())
    page.locator("textarea").fill("Written after the session had ended.")

    page.get_by_role("button", name=SAVE).click(no_wait_after=True)

    expect(page.locator(WAITING)).to_contain_text("no connection")


def test_no_draft_stays_in_the_browser_when_the_answer_is_saved_or_taken_back(site: Deployment, page: Page) -> None:
    essay_page(page, CLASSMATES[0], ROLES[2])
    assessment_id, path = assessment_of(page), page.url
    page.locator("textarea").fill("Saved by the button.")
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("textarea")).not_to_have_value("Saved by the button.")
    saved = page.evaluate("Object.keys(localStorage)")
    page.goto(path)
    page.locator("textarea").fill("Something else.")
    page.locator("textarea").fill("Saved by the button.")
    taken_back = page.evaluate("Object.keys(localStorage)")

    assert (saved, taken_back) == ([], [])
    assert stored_essays(site, assessment_id) == ["Saved by the button."]


def test_a_click_on_save_while_an_answer_is_being_saved_is_no_conflict(site: Deployment, page: Page) -> None:
    essay_page(page, CLASSMATES[0], ROLES[4])
    assessment_id, path = assessment_of(page), page.url
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/autosave", lambda route: route.continue_() if late else late.append((route, route.fetch())))
    page.locator("textarea").fill("The first sentence.")
    while not late:
        page.wait_for_timeout(50)
    page.locator("textarea").fill("The first sentence. The second one.")

    page.get_by_role("button", name=SAVE).click(no_wait_after=True)
    route, response = late[0]
    route.fulfill(response=response)

    page.wait_for_url(lambda url: url != path)
    assert stored_essays(site, assessment_id) == ["The first sentence. The second one."]
