"""An advisor in a browser: a review by keyboard alone, and every page of advisors checked with axe-core.

The API runs in a thread on the database of the API's tests, without a worker: the results are published by the tests.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from api.app import create_app
from deploy.local.ports import free_port
from tests.api.appeals.appeal_requests import opened
from tests.pages.advisors import Staff
from tests.pages.chromium import chromium, opened_page, screens
from tests.pages.conftest import PASSWORD
from tests.pages.test_overview import cohort

SECRET = "a-secret-for-tests-of-32-bytes-or-more"


@dataclass
class Desk:
    """`first` has two essays that wait, `second` a held result, `third` an open appeal."""

    url: str
    email: str
    first: dict[str, Any]
    second: dict[str, Any]
    third: dict[str, Any]


@pytest.fixture
def address(api_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    port = free_port()
    environment = {"DATABASE_URL": api_database, "JWT_SECRET": SECRET, "MICROCRED_ENV": "development"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server = uvicorn.Server(uvicorn.Config(create_app(), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
async def desk(staff: Staff, address: str) -> Desk:
    first = await staff.waiting(name="Ada Example")
    third = await staff.graded(await staff.student(name="Grace Other"))
    await opened(staff.api, third["student"], third)
    await cohort(staff, "Spring", first["student"], third["student"])
    await staff.set(release="all_held", audit_share=0.0)
    second = await staff.graded(await staff.student(name="Alan Third"))
    return Desk(address, f"{staff.advisor.id}@example.org", first, second, third)


@contextmanager
def page_of(desk: Desk) -> Iterator[Page]:
    with chromium() as chrome, opened_page(chrome, desk.url) as page:
        yield page


def press_until(page: Page, selector: str, key: str = "Tab") -> None:
    for _ in range(80):
        if page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} was not reached by keyboard")


def sign_in(page: Page, desk: Desk) -> None:
    page.goto("/sign-in")
    press_until(page, "[name=email]")
    page.keyboard.type(desk.email)
    press_until(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/overview")


@pytest.mark.timeout(600)
def test_every_page_of_advisors(desk: Desk) -> None:
    with page_of(desk) as page:
        sign_in(page, desk)
        found = screens(page, "advisor-overview")
        page.get_by_role("link", name="Spring").click()
        page.wait_for_url("**/skills")
        found += screens(page, "advisor-cohort")
        for name, path in {
            "queue": "/reviews",
            "assessments": "/assessments",
            "assessment": f"/assessments/{desk.first['assessment_id']}",
            "appeals": "/appeals",
            "student": f"/students/{desk.first['student'].id}",
        }.items():
            page.goto(path)
            found += screens(page, f"advisor-{name}")
        page.goto("/appeals")
        page.get_by_role("link", name=re.compile("^Answer")).click()
        page.get_by_role("button", name="Send the answer").click()
        found += screens(page, "advisor-appeal-refused")
        page.goto("/reviews?reason=flagged")
        page.get_by_role("link", name=re.compile("^Open")).first.click()
        page.get_by_role("button", name="Take this essay").click()
        expect(page.get_by_text("Yours until")).to_be_visible()
        found += screens(page, "advisor-desk")

    assert found == []


@pytest.mark.timeout(600)
def test_an_essay_is_reviewed_by_keyboard_alone(desk: Desk) -> None:
    with page_of(desk) as page:
        keys = page.keyboard
        sign_in(page, desk)
        press_until(page, "nav a[href='/reviews']")
        keys.press("Enter")
        page.wait_for_url("**/reviews")
        press_until(page, "#filter-reason")
        keys.type("Flagged")
        press_until(page, ".filter button")
        keys.press("Enter")
        page.wait_for_url("**reason=flagged**")
        press_until(page, "form[action='/reviews/next'] button")
        keys.press("Enter")
        page.wait_for_url("**/reviews/items/*")
        opened_at = page.url
        expect(page.locator("[data-criterion='1'] input:focus")).to_have_count(1)
        for _ in range(page.locator("[data-desk] [data-criterion]").count()):
            keys.press("1")
        expect(page.locator("#comment:focus")).to_have_count(1)
        keys.type("Read twice.")
        keys.press("Control+Enter")
        page.wait_for_url(lambda url: url != opened_at)

        expect(page.get_by_text("Your review is stored")).to_be_visible()
        page.goto(f"/assessments/{desk.first['assessment_id']}")
        expect(page.get_by_text("Read twice.")).to_have_count(1)


@pytest.mark.timeout(600)
def test_the_keys_of_a_list_move_between_its_rows_and_open_one(desk: Desk) -> None:
    with page_of(desk) as page:
        sign_in(page, desk)
        page.goto("/reviews")
        expect(page.locator("[data-rows-keys]")).to_be_visible()
        page.keyboard.press("j")
        expect(page.locator("[data-open]:focus")).to_have_count(0)  # outside of the list, letters do nothing
        press_until(page, "[data-rows]")
        page.keyboard.press("j")
        page.keyboard.press("j")
        second = page.locator("tbody tr").nth(1).locator("[data-open]")
        expect(second).to_be_focused()
        page.keyboard.press("k")
        page.keyboard.press("k")
        first = page.locator("tbody tr").nth(0).locator("[data-open]")
        expect(first).to_be_focused()
        page.keyboard.press("Enter")

        page.wait_for_url(re.compile("/(reviews/items|appeals)/"))


@pytest.mark.timeout(600)
def test_a_narrow_list_hides_no_column(desk: Desk) -> None:
    with page_of(desk) as page:
        sign_in(page, desk)
        page.set_viewport_size({"width": 360, "height": 800})
        hidden = {}
        for path in ("/reviews", "/assessments", "/appeals"):
            page.goto(path)
            hidden[path] = page.locator(".table-scroll").evaluate("list => list.scrollWidth - list.clientWidth")

    assert hidden == {"/reviews": 0, "/assessments": 0, "/appeals": 0}


@pytest.mark.timeout(600)
def test_the_heat_map_scrolls_by_keyboard_and_keeps_its_first_column(desk: Desk) -> None:
    with page_of(desk) as page:
        sign_in(page, desk)
        page.set_viewport_size({"width": 320, "height": 800})
        page.locator(".heat table").evaluate("table => table.style.setProperty('min-width', '900px')")  # many skills
        press_until(page, ".heat")
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.wait_for_function("() => document.querySelector('.heat').scrollLeft > 0")
        kept = page.locator(".heat").evaluate(
            "map => [...map.querySelectorAll('tr > :first-child')].map("
            "cell => Math.abs(cell.getBoundingClientRect().left - map.getBoundingClientRect().left) < 3)"
        )

    assert len(kept) > 1
    assert all(kept)
