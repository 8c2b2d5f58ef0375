"""The list of people is sorted by its headings, page by page."""

import html
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from api.schemas.cursors import encode_sorted
from persistence.tables import UserRow
from tests.api.conftest import Api, Person
from tests.pages.admin import admin, platform_admin, unique  # noqa: F401  # fixtures
from tests.pages.conftest import Browser

_ROW = re.compile(r'<th scope="row"><a href="/admin/people/([0-9a-f-]{36})"')

pytestmark = pytest.mark.usefixtures("admin")


async def named(api: Api, prefix: str, **times: datetime | None) -> dict[str, str]:
    """Create a person for each ending of a name. Return the ids by ending."""
    people = {each: await api.person(name=f"{prefix} {each}") for each in times}
    async with api.sessions() as session:
        for each, time in times.items():
            wanted = update(UserRow).where(UserRow.id == people[each].id)
            await session.execute(wanted.values(last_sign_in_at=time))
        await session.commit()
    return {each: str(person.id) for each, person in people.items()}


async def order_of(browser: Browser, path: str) -> list[str]:
    """Return the ids of the rows of all pages."""
    found = []
    while path:
        page = (await browser.open(path)).text
        found += _ROW.findall(page)
        path = html.unescape(page.partition('rel="next" href="')[2].partition('"')[0])
    return found


async def test_names_are_sorted_without_case_and_in_both_directions(api: Api, browser: Browser) -> None:
    prefix = unique("Sort")
    ids = await named(api, prefix, Beta=None, alpha=None, Gamma=None)

    ascending = await order_of(browser, f"/admin/people?q={prefix}&sort=name")
    descending = await order_of(browser, f"/admin/people?q={prefix}&sort=-name")

    assert ascending == [ids["alpha"], ids["Beta"], ids["Gamma"]]
    assert descending == ascending[::-1]


async def test_who_has_never_signed_in_comes_last_in_the_newest_sign_ins(api: Api, browser: Browser) -> None:
    prefix, now = unique("Seen"), datetime.now(UTC)
    ids = await named(api, prefix, never=None, today=now, before=now - timedelta(days=9))

    shown = await order_of(browser, f"/admin/people?q={prefix}&sort=-last_sign_in")

    assert shown == [ids["today"], ids["before"], ids["never"]]


@pytest.mark.parametrize("sort", ["name", "-name", "role", "-status", "last_sign_in", "-last_sign_in", "added"])
async def test_pages_of_equal_keys_repeat_and_omit_nobody(api: Api, browser: Browser, sort: str) -> None:
    name = unique("Same")
    people = {str((await api.person(name=name)).id) for _ in range(5)}

    shown = await order_of(browser, f"/admin/people?q={name}&sort={sort}&limit=2")

    assert len(shown) == 5
    assert set(shown) == people


async def test_the_heading_of_the_current_order_reverses_it_and_keeps_the_filter(browser: Browser) -> None:
    page = (await browser.open("/admin/people?role=admin&sort=name")).text

    assert 'aria-sort="ascending"><a class="sort" href="/admin/people?role=admin&amp;sort=-name">Name</a>' in page
    assert 'aria-sort="none"><a class="sort" href="/admin/people?role=admin&amp;sort=-last_sign_in">' in page


async def test_a_cursor_of_another_order_is_refused(api: Api, browser: Browser) -> None:
    name = unique("Same")
    for _ in range(2):
        await api.person(name=name)
    page = (await browser.open(f"/admin/people?q={name}&sort=name&limit=1")).text
    following = html.unescape(page.partition('rel="next" href="')[2].partition('"')[0])

    answer = await browser.open(following.replace("sort=name", "sort=role"))

    assert answer.status_code == 400


async def test_a_sign_in_is_recorded_and_does_not_change_the_account(
    api: Api,
    admin: Person,  # noqa: F811
    browser: Browser,
) -> None:
    async with api.sessions() as session:
        row = (await session.execute(select(UserRow).where(UserRow.id == admin.id))).scalar_one()

    assert row.last_sign_in_at is not None
    assert row.updated_at == row.created_at
    assert "Last sign-in" in (await browser.open(f"/admin/people/{admin.id}")).text


async def test_platform_admins_have_one_order(
    platform_admin: tuple[Person, Browser],  # noqa: F811
) -> None:
    """`admin` of another organization is in the list."""
    page = (await platform_admin[1].open("/admin/people?sort=name")).text

    assert "Last sign-in</th>" in page
    assert "aria-sort" not in page
    assert 'name="sort"' not in page


@pytest.mark.parametrize("key", ["\0", "\ud800"], ids=["NUL", "half of a surrogate pair"])
async def test_a_cursor_with_a_text_that_cannot_be_stored_is_refused(browser: Browser, key: str) -> None:
    cursor = encode_sorted("name", key, datetime.now(UTC), uuid4())

    assert (await browser.open(f"/admin/people?sort=name&cursor={cursor}")).status_code == 400


async def test_the_members_of_a_cohort_are_sorted_by_name(api: Api, browser: Browser) -> None:
    prefix = unique("Member")
    ids = await named(api, prefix, Beta=None, alpha=None, Gamma=None, delta=None)
    created = await browser.send("/admin/cohorts", {"name": prefix})
    path = created.headers["Location"].partition("?")[0]
    for each in ids.values():
        await browser.send(f"{path}/members", {"email": f"{each}@example.org"})

    shown = await order_of(browser, f"{path}?limit=3")

    assert shown == [ids["alpha"], ids["Beta"], ids["delta"], ids["Gamma"]]
