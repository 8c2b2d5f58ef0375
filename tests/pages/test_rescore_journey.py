"""An admin in a browser: a re-score by keyboard, the menu, axe-core on new pages, and hostile texts that never run."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.pages.chromium import SCREENS, chromium, opened_page, screens, violations
from tests.pages.conftest import PASSWORD
from tests.pages.staff_pages import StaffPages, staff_pages  # noqa: F401  # fixture
from tests.pages.test_advisor_journey import address, press_until  # noqa: F401  # fixture

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def admin_page(address: str, staff_pages: StaffPages) -> Iterator[Page]:  # noqa: F811
    """A page of the signed-in admin. Errors of scripts, dialogs and violations of the policy fail the test."""
    problems: list[str] = []
    with chromium() as chrome, opened_page(chrome, address) as page:
        page.set_default_timeout(60_000)
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(staff_pages.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/attention")
        yield page
    assert problems == []


def test_the_menu_is_one_row_on_a_narrow_screen_and_works_by_keyboard(admin_page: Page) -> None:
    page = admin_page
    page.set_viewport_size({"width": 360, "height": 800})
    menu = page.locator(".site-nav__narrow > summary")
    expect(menu).to_have_text("Menu: Attention")
    height = page.locator(".site-header").evaluate("header => header.getBoundingClientRect().height")
    press_until(page, ".site-nav__narrow > summary")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Audit log")).to_be_visible()
    found = violations(page)
    page.screenshot(path=SCREENS / "admin-menu-open-360-light.png")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(page.get_by_role("link", name="Audit log")).to_be_hidden()
    page.keyboard.press("Enter")
    press_until(page, "nav a[href='/admin/people']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/people")

    expect(menu).to_have_text("Menu: People")
    assert height < 72
    assert found == []


def test_a_rescore_is_read_and_applied_by_keyboard(admin_page: Page, staff_pages: StaffPages) -> None:  # noqa: F811
    page, base = admin_page, f"/rescores/{staff_pages.rescore_id}"
    press_until(page, ".menu summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator(".menu summary").first).to_be_focused()
    page.keyboard.press("Enter")
    found = screens(page, "admin-menu")  # before a link has the focus, because narrow screens have another menu
    press_until(page, "nav a[href='/rescores']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rescores")
    found += screens(page, "rescores")
    page.goto(base)
    page.get_by_text("Details").first.click()
    found += screens(page, "rescore")
    press_until(page, f"form[action='{base}/apply'] button[value='all']", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Apply the changes?")
    found += screens(page, "rescore-apply")
    press_until(page, "button[value='all']")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The changes are being published.")).to_be_visible()
    expect(page.locator("progress")).to_have_count(1)
    found += screens(page, "rescore-applying")

    assert found == []


def test_a_dry_run_is_started(admin_page: Page) -> None:
    page = admin_page
    page.goto("/rescores/new")
    page.get_by_role("button", name="Start the dry run").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found = screens(page, "rescore-new-refused")
    page.get_by_label("What to score again").select_option(index=1)
    page.get_by_label("Reason").fill("The key of question 4 was wrong")
    page.get_by_role("button", name="Start the dry run").click()
    page.wait_for_url(re.compile(r"/rescores/[0-9a-f-]{36}"))
    found += screens(page, "rescore-queued")
    page.get_by_role("button", name="Discard…").click()
    found += screens(page, "rescore-discard")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("The re-score is discarded.")).to_be_visible()

    assert found == []


def test_hostile_texts_never_run(admin_page: Page, staff_pages: StaffPages) -> None:  # noqa: F811
    paths = [path for path in staff_pages.browsers if not path.startswith("/platform")]

    for path in paths:
        admin_page.goto(path)
        admin_page.evaluate("() => document.querySelectorAll('details').forEach(each => { each.open = true; })")
    statuses = {path: admin_page.request.get(path).status for path in paths}

    assert statuses == dict.fromkeys(paths, 200)
