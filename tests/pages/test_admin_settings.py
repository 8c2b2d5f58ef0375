"""The page of the organization's settings."""

import re

import pytest

from tests.api.conftest import Api, Person
from tests.pages.admin import FormFields, fields_of, signed_in_as
from tests.pages.conftest import Browser
from tests.support.builders import an_organization

FORM = {
    "release": "doubtful_held",
    "audit_share": "12,5",
    "blind": "yes",
    "appeal_window_days": "30",
    "appeals_per_role": "2",
    "appeal_reminder_days": "4",
    "appeal_overdue_days": "9",
    "share_reviewed_answers": "no",
    "review_target_kappa": "62,5",
}


@pytest.fixture
async def admin(api: Api, browser: Browser, password_hash: str) -> Person:
    """Sign in the admin of an organization of its own: other tests rely on the settings of the shared one."""
    async with api.sessions() as session:
        organization = await an_organization(session)
        await session.commit()
    return await signed_in_as(api, browser, "admin", password_hash, of=organization)


async def test_settings_are_stored_as_the_api_stores_them(api: Api, admin: Person, browser: Browser) -> None:
    answer = await browser.send("/admin/settings", FORM)

    assert answer.headers["Location"] == "/admin/settings?done=settings_saved"
    assert (await api.get(admin, "/organization/settings")).json() == {
        "release": "doubtful_held",
        "audit_share": 0.125,
        "blind": True,
        "appeal_window_days": 30,
        "appeals_per_role": 2,
        "appeal_reminder_days": 4,
        "appeal_overdue_days": 9,
        "share_reviewed_answers": False,
        "review_target_kappa": 0.625,
    }


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_page_that_is_older_than_a_change_does_not_undo_it(
    api: Api, admin: Person, browser: Browser, language: str
) -> None:
    browser.client.headers["Accept-Language"] = language
    opened = await fields_of(browser, "/admin/settings")
    meanwhile = {"release": "all_held", "audit_share": 0.123456789, "blind": True, "share_reviewed_answers": False}
    await api.client.patch("/api/v1/organization/settings", json=meanwhile, headers=admin.headers)
    before = (await api.get(admin, "/organization/settings")).json()

    wrong = await browser.send("/admin/settings", opened | {"appeals_per_role": "many"})
    answer = await browser.send(
        "/admin/settings", FormFields(wrong.text, "/admin/settings").fields | {"appeals_per_role": "5"}
    )

    assert (wrong.status_code, answer.status_code) == (400, 303)
    assert (await api.get(admin, "/organization/settings")).json() == before | {"appeals_per_role": 5}


async def test_saving_the_page_unchanged_changes_nothing(api: Api, admin: Person, browser: Browser) -> None:
    exact = {"audit_share": 0.123456789, "review_target_kappa": 0.7}
    await api.client.patch("/api/v1/organization/settings", json=exact, headers=admin.headers)
    before = (await api.get(admin, "/organization/settings")).json()

    answer = await browser.send("/admin/settings", await fields_of(browser, "/admin/settings"))

    assert answer.headers["Location"] == "/admin/settings?done=settings_saved"
    assert (await api.get(admin, "/organization/settings")).json() == before


@pytest.mark.usefixtures("admin")
async def test_the_page_shows_what_is_stored(browser: Browser) -> None:
    await browser.send("/admin/settings", FORM)

    page = (await browser.open("/admin/settings")).text

    assert re.search(r'value="doubtful_held" checked', page)
    assert re.search(r'name="audit_share"[^>]*value="12.5"', page)
    assert re.search(r'name="review_target_kappa"[^>]*value="62.5"', page)
    assert re.search(r'name="blind" value="yes" checked', page)
    assert re.search(r'name="share_reviewed_answers" value="no" checked', page)


@pytest.mark.usefixtures("admin")
async def test_the_sections_of_the_form_are_linked_at_the_top(browser: Browser) -> None:
    page = (await browser.open("/admin/settings")).text

    linked = re.findall(r'<li><a href="#([a-z-]+)">', page)
    assert linked == ["results-heading", "reviews-heading", "appeals-heading", "models-heading"]
    assert [f'<h2 id="{each}"' in page for each in linked] == [True] * 4


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"release": "never"}, "Release: "),
        ({"audit_share": "101"}, "Share of confident grades: enter a percentage from 0 to 100."),
        ({"audit_share": "some"}, "Share of confident grades: enter a percentage from 0 to 100."),
        ({"appeal_window_days": "-1"}, "Days to appeal: "),
        ({"appeal_overdue_days": "1e1"}, "Days until an appeal is overdue: "),
        (
            {"appeal_reminder_days": "6", "appeal_overdue_days": "5"},
            "Days until a reminder: must not be more than the days until an appeal is overdue",
        ),
    ],
)
async def test_a_wrong_value_is_named_and_nothing_is_stored(
    browser: Browser, fields: dict[str, str], problem: str
) -> None:
    await browser.send("/admin/settings", FORM)

    answer = await browser.send("/admin/settings", FORM | {"appeals_per_role": "50"} | fields)

    assert (answer.status_code, problem in answer.text) == (400, True)
    assert 'name="appeals_per_role" type="text" value="2"' in (await browser.open("/admin/settings")).text


@pytest.mark.usefixtures("admin")
async def test_settings_need_the_token_of_the_session(browser: Browser) -> None:
    assert (await browser.send("/admin/settings", {"csrf": "", **FORM})).status_code == 403
