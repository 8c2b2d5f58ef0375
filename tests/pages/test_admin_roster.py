"""Import a roster by forms, and the pages of cohorts."""

import html
import re
from typing import Any

import pytest
from sqlalchemy import func, select

from api.middleware.routing import BODIES
from api.security.authorization import actor_of
from persistence.tables import CohortMemberRow, CohortRow, UserRow
from tests.api.conftest import Api
from tests.pages.admin import admin, id_in, send_multipart, unique, upload  # noqa: F401  # fixtures
from tests.pages.conftest import ORIGIN, Browser

PATH = "/admin/people/import"

pytestmark = pytest.mark.usefixtures("admin")


def checked(page: str) -> str:
    """Return the roster that the report repeats for the import."""
    found = re.search(r'name="roster" value="([^"]*)"', page)
    assert found is not None, page
    return html.unescape(found[1])


async def count(api: Api, email: str) -> int:
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).where(UserRow.email == email)) or 0


async def members(api: Api, name: str) -> int:
    async with api.sessions() as session:
        counted = (
            select(func.count()).select_from(CohortMemberRow).join(CohortRow, CohortRow.id == CohortMemberRow.cohort_id)
        )
        return await session.scalar(counted.where(CohortRow.name == name)) or 0


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "windows-1252"])
async def test_a_roster_is_checked_first_and_then_imported(api: Api, browser: Browser, codec: str) -> None:
    email, cohort = f"{unique('zoe')}@example.org", unique("Spring é")
    table = f'email,name,cohort\r\n{email},"Zoë ""Z"" <b>",{cohort}\r\n'

    report = await upload(browser, PATH, table.encode(codec))
    before = await count(api, email)
    done = await send_multipart(browser, PATH, roster=checked(report.text))

    assert (report.status_code, before) == (200, 0)
    assert "Zoë &#34;Z&#34; &lt;b&gt;" in report.text
    assert (done.status_code, await count(api, email), await members(api, cohort)) == (303, 1, 1)


async def test_refused_rows_come_first_and_nothing_can_be_imported(api: Api, browser: Browser) -> None:
    email = f"{unique('ada')}@example.org"
    table = f"email,name\n{email},Ada\nno address,Bob\n"

    report = (await upload(browser, PATH, table)).text
    forced = await send_multipart(browser, PATH, roster=table)

    assert "Row 1 is the first row below the header" in report
    assert report.index("Refused") < report.index(email)
    assert 'name="roster"' not in report
    assert (forced.status_code, "Nothing was imported" in forced.text or "row" in forced.text) == (400, True)
    assert await count(api, email) == 0


@pytest.mark.parametrize("content", ["", "not,a,roster\n1,2,3\n", "email\n"])
async def test_a_file_that_is_no_roster_is_explained(browser: Browser, content: str) -> None:
    answer = await upload(browser, PATH, content)

    assert (answer.status_code, "There is a problem" in answer.text) == (400, True)


async def test_a_row_with_a_wrong_number_of_cells_is_named_by_its_number(browser: Browser) -> None:
    table = "email,name\nada@example.org,Ada\nbob@example.org,Bob,extra\n"

    answer = await upload(browser, PATH, table)

    assert "Row 2: row has 3 cells, not 2" in answer.text
    assert "Row 1 is the first row below the header" in answer.text


async def test_an_upload_has_the_limit_of_the_rest_route(browser: Browser) -> None:
    too_large = b"email\n" + b"x" * BODIES["import_users"].max_bytes + b"x" * 32 * 1024

    assert (await upload(browser, PATH, too_large)).status_code == 413


@pytest.mark.parametrize(
    "broken",
    [
        {"files": [("file", ("a.csv", b"email\n")), ("file", ("b.csv", b"email\n"))]},
        {"data": {f"field{number}": "" for number in range(20)}, "files": {"file": ("a.csv", b"email\n")}},
        {"content": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
    ],
    ids=["two files", "many fields", "broken", "no boundary"],
)
async def test_a_form_that_is_not_as_browsers_send_it_is_refused(browser: Browser, broken: dict[str, Any]) -> None:
    headers = {"Origin": ORIGIN, "X-CSRF-Token": await browser.csrf(), "Accept": "text/html"}
    sent = broken | {"headers": headers | dict(broken.get("headers", {}))}

    answer = await browser.client.post(PATH, **sent)

    assert answer.status_code == 400


async def test_an_upload_needs_the_token_of_the_session(api: Api, browser: Browser) -> None:
    email = f"{unique('ada')}@example.org"

    answer = await send_multipart(browser, PATH, csrf="0" * 64, roster=f"email\n{email}\n")

    assert (answer.status_code, await count(api, email)) == (403, 0)


async def test_a_cohort_is_created_renamed_and_deleted(browser: Browser) -> None:
    created = await browser.send("/admin/cohorts", {"name": unique("Autumn")})
    path = created.headers["Location"].partition("?")[0]
    name = unique("Winter")

    await browser.send(f"{path}/name", {"name": name})
    renamed = (await browser.open("/admin/cohorts")).text
    await browser.send(f"{path}/delete")

    assert name in renamed
    assert (await browser.open(path)).status_code == 404


async def test_a_name_that_is_taken_or_blank_is_refused_in_the_form(browser: Browser) -> None:
    name = unique("Twice")
    await browser.send("/admin/cohorts", {"name": name})

    answers = [await browser.send("/admin/cohorts", {"name": each}) for each in (name, " ")]

    assert [each.status_code for each in answers] == [400, 400]


async def test_a_student_is_added_to_a_cohort_and_removed(api: Api, browser: Browser) -> None:
    student, advisor = await api.person(), await api.person("advisor")
    cohort = id_in((await browser.send("/admin/cohorts", {"name": unique("Summer")})).headers["Location"])
    path = f"/admin/cohorts/{cohort}"

    added = await browser.send(f"{path}/members", {"email": f"{student.id}@example.org"})
    refused = [
        await browser.send(f"{path}/members", {"email": email})
        for email in (f"{advisor.id}@example.org", "nobody@example.org", "no address")
    ]
    page = (await browser.open(path)).text
    await browser.send(f"{path}/members/{student.id}/remove")

    assert (added.status_code, [each.status_code for each in refused]) == (303, [400, 400, 400])
    assert f"{student.id}@example.org" in page
    assert f"{student.id}@example.org" not in (await browser.open(path)).text


async def test_cohorts_of_another_organization_do_not_exist(api: Api, browser: Browser) -> None:
    other = await api.person("admin", elsewhere=True)
    async with api.uow() as uow:
        view = await uow.cohorts.create(api.other_organization_id, actor_of(other.principal), unique("Theirs"))
        await uow.commit()

    assert (await browser.open(f"/admin/cohorts/{view.cohort_id}")).status_code == 404
    assert (await browser.send(f"/admin/cohorts/{view.cohort_id}/delete")).status_code == 404
