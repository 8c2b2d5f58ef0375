"""The offer to release a result in a browser: it appears without a reload when the review is published."""

from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect

from tests.pages.advisors import Staff
from tests.pages.chromium import chromium, opened_page, screens
from tests.pages.test_advisor_journey import Desk, address, sign_in  # noqa: F401  # a fixture
from tests.pages.test_release_offer import decide_all, held


@pytest.fixture
async def decided(staff: Staff) -> dict[str, Any]:
    """A held result whose reviews are stored and not published yet."""
    started = await held(staff, name="Ada Example")
    await decide_all(staff, started)
    return started


@pytest.mark.timeout(600)
def test_the_release_is_offered_without_a_reload(
    staff: Staff,
    decided: dict[str, Any],
    address: str,  # noqa: F811
    api_database: str,
) -> None:
    desk = Desk(address, f"{staff.advisor.id}@example.org", decided, decided, decided)
    with chromium() as chrome, opened_page(chrome, address) as page:
        sign_in(page, desk)
        page.goto(f"/reviews?decided={decided['assessment_id']}")
        release = page.get_by_role("button", name="Release to the student")
        expect(page.get_by_text("Your levels are being added")).to_be_visible()
        expect(release).to_have_count(0)
        found = screens(page, "advisor-release-pending")
        with psycopg.connect(api_database.replace("+psycopg", "")) as database:
            published = "UPDATE essay_reviews SET published_revision = 1 WHERE assessment_id = %s"
            database.execute(published, (decided["assessment_id"],))
        expect(release).to_be_visible()
        found += screens(page, "advisor-release-offer")
        release.click()
        expect(page.get_by_text("The result is released")).to_be_visible()

    assert found == []
