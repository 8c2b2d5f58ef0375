"""An admin's way in a browser, and screenshots of the admin's pages; axe-core finds nothing on them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deploy.local.plan import ACCOUNTS
from tests.pages.chromium import screens
from tests.support.deployment import ADMIN, PASSWORD

pytestmark = pytest.mark.usefixtures("site")  # before `page`: it runs an event loop of its own

PLATFORM_ADMIN = ACCOUNTS["PLATFORM_ADMIN"]
ROSTER = """email,name,external_id,cohort
grace@school.example,Grace Hopper,s-1,Spring 2027
edsger@school.example,Edsger Dijkstra,s-2,Spring 2027
"""


@pytest.fixture
def sign_in(page: Page) -> Callable[[str], None]:
    def signed_in(email: str) -> None:
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    return signed_in


def test_an_admin_adds_a_person_imports_a_roster_and_creates_an_endpoint(
    page: Page, sign_in: Callable[[str], None], tmp_path: Path
) -> None:
    sign_in(ADMIN)
    found = screens(page, "admin-home")

    page.get_by_role("link", name="People").click()
    found += screens(page, "admin-people")
    page.get_by_role("link", name="Add a person").click()
    page.get_by_label("E-mail address").fill("ada@school.example")
    page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    page.get_by_label("Initial password").fill("short")
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_role("alert")).to_contain_text("Initial password")
    found += screens(page, "admin-new-person-refused")
    page.get_by_label("Initial password").fill("a first password to replace")
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    found += screens(page, "admin-person")
    page.get_by_role("link", name="Erase this person").click()
    found += screens(page, "admin-erase")

    page.get_by_role("navigation", name="Main").get_by_role("link", name="People").click()
    page.get_by_role("link", name="Import a roster").click()
    found += screens(page, "admin-roster")
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER, encoding="utf-8")
    page.get_by_label("CSV file").set_input_files(roster)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("New cohorts: Spring 2027")).to_be_visible()
    found += screens(page, "admin-roster-report")
    page.get_by_role("button", name="Import these people").click()
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()

    page.get_by_role("link", name="Cohorts").click()
    found += screens(page, "admin-cohorts")
    page.get_by_role("link", name="Spring 2027").click()
    found += screens(page, "admin-cohort")

    page.get_by_role("link", name="Webhooks").click()
    found += screens(page, "admin-webhooks-empty")
    page.get_by_role("link", name="Add an endpoint").click()
    page.get_by_label("Address").fill("https://partner.example/hooks")
    found += screens(page, "admin-new-endpoint")
    page.get_by_role("button", name="Add the endpoint").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")
    found += screens(page, "admin-endpoint-secret")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Send a test event").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delivery of webhook.test")
    found += screens(page, "admin-delivery")
    page.get_by_role("link", name="https://partner.example/hooks").click()
    expect(page.locator("#secret")).to_have_count(0)
    found += screens(page, "admin-endpoint")

    assert found == []


def test_other_pages_of_an_admin(page: Page, sign_in: Callable[[str], None]) -> None:
    sign_in(ADMIN)
    found = []
    for name in ("settings", "deliveries", "api-keys", "cost", "audit"):
        page.goto(f"/admin/{name}")
        found += screens(page, f"admin-{name}")
    page.goto("/admin/api-keys")
    page.get_by_label("Name").fill("Results to our LMS")
    page.get_by_label("Read results").check()
    page.get_by_role("button", name="Create the key").click()
    expect(page.locator("#secret")).to_contain_text("mck_")
    found += screens(page, "admin-api-key-secret")
    page.get_by_role("link", name="I have copied it").click()
    found += screens(page, "admin-api-keys-listed")

    assert found == []


def test_pages_of_a_platform_admin(page: Page, sign_in: Callable[[str], None], tmp_path: Path) -> None:
    sign_in(PLATFORM_ADMIN)
    found = screens(page, "platform-organizations")
    page.get_by_role("link", name="Add an organization").click()
    found += screens(page, "platform-new-organization")
    page.goto("/platform/catalog")
    found += screens(page, "platform-catalog")
    table = tmp_path / "catalog.csv"
    table.write_text("key,title\n,\n", encoding="utf-8")
    page.get_by_label("CSV file").set_input_files(table)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found += screens(page, "platform-catalog-refused")
    page.goto("/admin/people")
    found += screens(page, "platform-people")

    assert found == []
