"""An admin's way in a browser, and screenshots of the admin's pages; axe-core finds nothing on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deploy.local.plan import ACCOUNTS
from tests.pages.chromium import screens
from tests.support.deployment import ADMIN, PASSWORD, STUDENT

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("site"),  # before `page`: it runs an event loop of its own
]

PLATFORM_ADMIN = ACCOUNTS["PLATFORM_ADMIN"]
ROSTER = """email,name,external_id,cohort
grace@school.example,Grace Hopper,s-1,Spring 2027
edsger@school.example,Edsger Dijkstra,s-2,Spring 2027
"""


@pytest.fixture(scope="module")
def sessions() -> dict[str, Any]:
    """The cookies of each account that has signed in."""
    return {}


@pytest.fixture
def sign_in(page: Page, sessions: dict[str, Any]) -> Callable[[str], None]:
    def signed_in(email: str) -> None:
        if email in sessions:
            page.context.add_cookies(sessions[email])
            page.goto("/")
            return
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        sessions[email] = page.context.cookies()

    return signed_in


def add_endpoint(page: Page) -> None:
    """Create an endpoint. Its secret is shown at the end."""
    page.goto("/admin/webhooks/new")
    page.get_by_label("Address").fill("https://partner.example/hooks")
    page.get_by_role("button", name="Add the endpoint").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")


def check_roster(page: Page, file: Path, content: str) -> None:
    """Upload a roster and open its report."""
    file.write_text(content, encoding="utf-8")
    page.goto("/admin/people/import")
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check the roster")


def test_an_admin_adds_a_person_imports_a_roster_and_creates_an_endpoint(
    page: Page, sign_in: Callable[[str], None], tmp_path: Path
) -> None:
    sign_in(ADMIN)
    page.locator("summary", has_text="Members").click()
    page.get_by_role("link", name="People").click()
    page.get_by_role("link", name="Add a person").click()
    page.get_by_label("E-mail address").fill("ada@school.example")
    page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    page.get_by_label("Initial password").fill("short")
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_role("alert")).to_contain_text("Initial password")
    page.get_by_label("Initial password").fill("a first password to replace")
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")

    check_roster(page, tmp_path / "roster.csv", ROSTER)
    expect(page.get_by_text("New cohorts: Spring 2027")).to_be_visible()
    page.get_by_role("button", name="Import these people").click()
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()

    add_endpoint(page)
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#secret")).to_have_count(0)
    page.get_by_role("button", name="Send a test event").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delivery of webhook.test")


@pytest.mark.parametrize(
    "path",
    [
        "/admin/attention",
        "/admin/people",
        "/admin/people/new",
        "/admin/people/import",
        "/admin/cohorts",
        "/admin/settings",
        "/admin/webhooks",
        "/admin/webhooks/new",
        "/admin/deliveries",
        "/admin/api-keys",
        "/admin/cost",
        "/admin/audit",
    ],
)
def test_pages_of_an_admin(page: Page, sign_in: Callable[[str], None], path: str) -> None:
    sign_in(ADMIN)
    page.goto(path)

    assert screens(page, path.strip("/").replace("/", "-")) == []


def test_pages_of_a_person(page: Page, sign_in: Callable[[str], None]) -> None:
    sign_in(ADMIN)
    page.goto(f"/admin/people?q={STUDENT}")
    page.get_by_role("link", name=STUDENT).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(STUDENT)
    found = screens(page, "admin-person")
    page.get_by_role("link", name="Erase this person").click()
    page.get_by_role("button", name="Erase this person").click()
    expect(page.get_by_role("alert")).to_be_visible()

    assert found + screens(page, "admin-erase-refused") == []


def test_an_invited_person_sets_a_password_with_a_link(page: Page, sign_in: Callable[[str], None]) -> None:
    sign_in(ADMIN)
    page.goto("/admin/people/new")
    page.get_by_label("E-mail address").fill("mary@school.example")
    page.get_by_role("button", name="Add the person").click()
    found = screens(page, "admin-person-invited")
    page.get_by_role("button", name="Create a link to copy").click()
    link = page.locator("#secret").inner_text()
    found += screens(page, "admin-person-link")
    page.context.clear_cookies()

    page.goto(link)
    expect(page).to_have_url(link.partition("#")[0])
    expect(page.get_by_label("Your link")).to_be_hidden()
    found += screens(page, "set-password")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password again").fill("short")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("new password must have")
    found += screens(page, "set-password-refused")
    page.get_by_label("New password", exact=True).fill("another horse with a battery")
    page.get_by_label("New password again").fill("another horse with a battery")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password is set")
    page.goto(link)
    page.get_by_label("New password", exact=True).fill("another horse with a battery")
    page.get_by_label("New password again").fill("another horse with a battery")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("no longer works")
    expect(page.get_by_label("Your link")).to_be_visible()
    page.evaluate("location.hash = 'the-token-of-a-newer-link'")
    expect(page.get_by_label("Your link")).to_have_value("the-token-of-a-newer-link")
    expect(page).to_have_url(link.partition("#")[0])

    assert found + screens(page, "set-password-used") == []


def test_the_report_of_a_roster(page: Page, sign_in: Callable[[str], None], tmp_path: Path) -> None:
    sign_in(ADMIN)
    check_roster(page, tmp_path / "roster.csv", f"{ROSTER}no address,Bob,,\n")

    assert screens(page, "admin-roster-report") == []


def test_the_page_of_a_cohort(page: Page, sign_in: Callable[[str], None]) -> None:
    sign_in(ADMIN)
    page.goto("/admin/cohorts")
    page.get_by_label("Name of a new cohort").fill("Autumn 2027")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Autumn 2027")

    assert screens(page, "admin-cohort") == []


def test_pages_of_an_endpoint(page: Page, sign_in: Callable[[str], None]) -> None:
    sign_in(ADMIN)
    add_endpoint(page)
    found = screens(page, "admin-endpoint-secret")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#secret")).to_have_count(0)
    found += screens(page, "admin-endpoint")
    page.get_by_role("button", name="Send a test event").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delivery of webhook.test")

    assert found + screens(page, "admin-delivery") == []


def test_a_new_api_key(page: Page, sign_in: Callable[[str], None]) -> None:
    sign_in(ADMIN)
    page.goto("/admin/api-keys")
    page.get_by_label("Name").fill("Results to our LMS")
    page.get_by_label("Read results").check()
    page.get_by_role("button", name="Create the key").click()
    expect(page.locator("#secret")).to_contain_text("mck_")

    assert screens(page, "admin-api-key-secret") == []


@pytest.mark.parametrize(
    "path",
    [
        "/platform/organizations",
        "/platform/organizations/new",
        "/platform/catalog",
        "/admin/people",
        "/admin/people/new",
    ],
)
def test_pages_of_a_platform_admin(page: Page, sign_in: Callable[[str], None], path: str) -> None:
    sign_in(PLATFORM_ADMIN)
    page.goto(path)

    assert screens(page, f"platform{path.replace('/', '-')}") == []
