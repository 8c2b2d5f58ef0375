"""A language that is written from right to left does not break the layout of the pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.support import NullTranslations
from playwright.sync_api import Page

from api.pages import texts
from api.pages.rendering import STATIC
from tests.pages.advisors import Staff
from tests.pages.chromium import SCREENS, WIDTHS, chromium
from tests.pages.conftest import PASSWORD
from tests.pages.test_advisor_journey import Desk, address, desk  # noqa: F401  # fixtures
from tests.support.builders import ROLE_ID

LANGUAGE = "ar"
PHYSICAL = re.compile(r"[^-](margin|padding|border)-(left|right)|[\s;{](left|right):|(float|text-align): (left|right)")


class Reversed(NullTranslations):
    """A pseudo-locale: English texts that are displayed from right to left."""

    def ugettext(self, message: str) -> str:
        return f"\u202e{message}\u202c"

    def ungettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.ugettext(msgid1 if n == 1 else msgid2)

    def upgettext(self, context: str, message: str) -> str:  # noqa: ARG002  # the context does not matter here
        return self.ugettext(message)


@pytest.fixture(autouse=True)
def pseudo_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "languages", lambda: (texts.SOURCE, LANGUAGE))
    monkeypatch.setattr(texts, "translations", lambda _language: Reversed())


@pytest.fixture
async def pages(desk: Desk, staff: Staff) -> dict[str, list[str]]:  # noqa: F811
    """The main pages of each role, by the address of a user who may open them."""
    await staff.set(audit_share=0.0)
    api, student = staff.api, await staff.student(name="Ada Example", password_hash=staff.password_hash)
    finished = await staff.graded(student)
    busy = await staff.student(password_hash=staff.password_hash)
    started = await api.start(busy)
    taking = f"/learn/assessments/{started['assessment_id']}"
    admin = await api.person("admin", of=staff.organization_id, password_hash=staff.password_hash)
    owner = await api.person("platform_admin", password_hash=staff.password_hash)
    first, essay = desk.first, await staff.item_of(desk.first)
    return {
        f"{busy.id}@example.org": [
            *("/learn", f"/learn/roles/{ROLE_ID}", taking, f"{taking}/hand-in", "/account/language"),
            *(f"{taking}/questions/{number}" for number, _ in enumerate(started["questions"], 1)),
        ],
        f"{student.id}@example.org": ["/learn", f"/assessments/{finished['assessment_id']}/result"],
        desk.email: [
            *("/overview", "/reviews", f"/reviews/items/{essay}", "/assessments", "/appeals"),
            *(f"/assessments/{first['assessment_id']}", f"/students/{first['student'].id}"),
        ],
        f"{admin.id}@example.org": [
            *("/admin/attention", "/admin/people", f"/admin/people/{student.id}", "/admin/cohorts", "/admin/settings"),
            *("/admin/webhooks/new", "/admin/deliveries", "/admin/api-keys", "/admin/cost", "/admin/audit"),
        ],
        f"{owner.id}@example.org": ["/platform/organizations", "/platform/catalog"],
    }


@pytest.fixture
def page(desk: Desk) -> Iterator[Page]:  # noqa: F811
    with chromium() as chrome:
        yield chrome.new_context(base_url=desk.url, locale=LANGUAGE).new_page()


@pytest.mark.timeout(600)
def test_no_page_scrolls_sideways_from_right_to_left(pages: dict[str, list[str]], page: Page) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    found = []
    for email, paths in pages.items():
        page.context.clear_cookies()
        page.goto("/sign-in")
        page.locator("[name=email]").fill(email)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("[name=password]").press("Enter")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        for path in paths:
            answer = page.goto(path)
            assert answer is not None
            assert answer.ok, path
            found += problems_of(page, path, screenshots=path == paths[0])

    assert found == []


@pytest.mark.parametrize("sheet", sorted(STATIC.glob("*.css")), ids=lambda each: str(each.name))
def test_a_stylesheet_names_no_left_or_right(sheet: Path) -> None:
    assert [line for line in sheet.read_text().splitlines() if PHYSICAL.search(line)] == []


def problems_of(page: Page, path: str, *, screenshots: bool) -> list[str]:
    """Return the widths at which the page scrolls sideways with all details open."""
    page.evaluate("() => document.querySelectorAll('main details').forEach(each => each.setAttribute('open', ''))")
    assert page.evaluate("() => getComputedStyle(document.body).direction") == "rtl"
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if screenshots:
            page.screenshot(path=SCREENS / f"rtl-{path.strip('/').replace('/', '-')}-{width}.png", full_page=True)
        if page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{path} at {width}")
    return found
