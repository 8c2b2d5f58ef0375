"""The result of a student on a narrow screen: what matters is at the top, and a print shows all of it."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.pages.advisors import Staff
from tests.pages.chromium import chromium, opened_page, screens
from tests.pages.conftest import PASSWORD
from tests.pages.test_advisor_journey import address  # noqa: F401  # a fixture


@pytest.fixture
async def result(staff: Staff) -> dict[str, Any]:
    return await staff.graded(await staff.student(password_hash=staff.password_hash))


@pytest.mark.timeout(600)
def test_the_next_step_comes_first_and_a_print_shows_every_reason(result: dict[str, Any], address: str) -> None:  # noqa: F811
    with chromium() as chrome, opened_page(chrome, address) as page:
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(f"{result['student'].id}@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/learn")
        page.set_viewport_size({"width": 360, "height": 800})
        page.goto(f"/assessments/{result['assessment_id']}/result")
        found = screens(page, "student-result")
        courses = page.locator(".course")
        step = page.get_by_role("heading", name="What to do next").bounding_box()
        reasons = page.locator(".course p[lang=en]")
        answers = [each.bounding_box() for each in page.locator(".answer").all()]
        assert step is not None
        expect(reasons.last).to_be_hidden()
        page.emulate_media(media="print")
        for number in range(courses.count()):
            expect(reasons.nth(number)).to_be_visible()

    assert found == []
    assert step["y"] < 800
    assert [each for each in answers if each is None or each["height"] > 60] == []
