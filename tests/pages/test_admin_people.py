"""The admin's pages of people: search, create, change, disable, set a password, export and erase."""

import html
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from persistence.tables import UserRow
from tests.api.conftest import Api, Person
from tests.pages.admin import FormFields, admin, fields_of, id_in, platform_admin, unique  # noqa: F401  # fixtures
from tests.pages.conftest import Browser
from tests.support.builders import an_organization

INITIAL = "a first password to replace"

pytestmark = pytest.mark.usefixtures("admin")


async def row(api: Api, user_id: UUID) -> Any:
    async with api.sessions() as session:
        return (await session.execute(select(UserRow).where(UserRow.id == user_id))).scalar_one()


@pytest.fixture
async def student_of_admin(api: Api) -> Person:
    return await api.person(name=unique("Ada"))


def new_person(**fields: str) -> dict[str, str]:
    return {"email": f"{unique('ada')}@example.org", "role": "student", "password": INITIAL, **fields}


async def test_a_created_person_can_sign_in_with_the_initial_password(api: Api, browser: Browser) -> None:
    sent = new_person(name=" Ada  Lovelace ", external_id=unique("s"))

    answer = await browser.send("/admin/people/new", sent)

    created = await row(api, id_in(answer.headers["Location"]))
    assert (answer.status_code, created.name, created.external_id) == (303, "Ada Lovelace", sent["external_id"])
    login = await browser.send("/sign-in", {"email": sent["email"], "password": INITIAL})
    assert login.status_code == 303


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"email": "no address"}, "E-mail address: "),
        ({"password": "short"}, "Initial password: "),
        ({"role": "owner"}, "Role: "),
        ({"name": "a\u202eb"}, "Name: must not have control characters"),
    ],
)
async def test_a_wrong_field_is_named_and_the_form_keeps_the_rest(
    browser: Browser, fields: dict[str, str], problem: str
) -> None:
    answer = await browser.send("/admin/people/new", new_person(external_id="s-1 & more", **fields))

    assert (answer.status_code, problem in answer.text) == (400, True)
    assert "s-1 &amp; more" in answer.text
    assert INITIAL not in answer.text


async def test_an_address_that_is_taken_is_said_in_the_form(admin: Person, browser: Browser) -> None:  # noqa: F811
    answer = await browser.send("/admin/people/new", new_person(email=f"{admin.id}@example.org"))

    assert answer.status_code == 400
    assert 'href="#form"' in answer.text


async def test_people_are_found_by_name_role_status_and_cohort(api: Api, browser: Browser) -> None:
    name = unique("Grace")
    found, other = await api.person(name=name), await api.person("advisor", name=name)
    cohort = id_in((await browser.send("/admin/cohorts", {"name": unique("Spring")})).headers["Location"])
    await browser.send(f"/admin/cohorts/{cohort}/members", {"email": f"{found.id}@example.org"})

    by_name = (await browser.open(f"/admin/people?q={name.upper()}&role=&status=")).text
    by_all = (await browser.open(f"/admin/people?q={name}&role=student&status=active&cohort_id={cohort}")).text

    assert [str(each.id) in by_name for each in (found, other)] == [True, True]
    assert [str(each.id) in by_all for each in (found, other)] == [True, False]


async def test_a_search_without_a_match_says_what_to_do(browser: Browser) -> None:
    assert "Nobody matches" in (await browser.open(f"/admin/people?q={unique('nobody')}")).text


async def test_a_list_has_pages_that_keep_the_filter(api: Api, browser: Browser) -> None:
    name = unique("Many")
    people = {str((await api.person(name=name)).id) for _ in range(27)}

    first = (await browser.open(f"/admin/people?q={name}")).text
    following = html.unescape(first.partition('rel="next" href="')[2].partition('"')[0])
    second = (await browser.open(following)).text

    assert f"q={name}" in following
    assert {each for each in people if each in first or each in second} == people


async def test_name_and_external_id_are_changed_and_deleted(
    api: Api, student_of_admin: Person, browser: Browser
) -> None:
    path = f"/admin/people/{student_of_admin.id}"

    await browser.send(path, {"name": "New Name", "external_id": "", "role": "student"})

    changed = await row(api, student_of_admin.id)
    assert (changed.name, changed.external_id, changed.token_version) == ("New Name", None, 0)


async def test_a_new_role_and_a_disabled_account_are_stored(
    api: Api, student_of_admin: Person, browser: Browser
) -> None:
    path = f"/admin/people/{student_of_admin.id}"

    await browser.send(path, {"name": "", "external_id": "", "role": "advisor"})
    await browser.send(f"{path}/status", {"status": "disabled"})
    disabled = await row(api, student_of_admin.id)
    await browser.send(f"{path}/status", {"status": "active"})

    assert (disabled.role, disabled.status) == ("advisor", "disabled")
    assert (await row(api, student_of_admin.id)).status == "active"


async def test_a_page_that_is_older_than_a_change_of_the_person_does_not_undo_it(
    api: Api,
    admin: Person,  # noqa: F811
    student_of_admin: Person,
    browser: Browser,
) -> None:
    path = f"/admin/people/{student_of_admin.id}"
    details, time = await fields_of(browser, path), await fields_of(browser, path, f"{path}/time")
    meanwhile = {"name": "Ada Lovelace", "time_factor": 1.5}
    await api.client.patch(f"/api/v1/users/{student_of_admin.id}", json=meanwhile, headers=admin.headers)

    external_id = unique("id")
    answers = [
        await browser.send(path, details | {"external_id": external_id}),
        await browser.send(f"{path}/time", time | {"extra_minutes": "20"}),
    ]
    advisor = await api.client.patch(
        f"/api/v1/users/{student_of_admin.id}", json={"role": "advisor"}, headers=admin.headers
    )
    answers.append(await browser.send(path, details | {"name": "Ada King"}))

    changed = await row(api, student_of_admin.id)
    assert [each.status_code for each in (*answers, advisor)] == [303, 303, 303, 200]
    assert (changed.name, changed.external_id, changed.role) == ("Ada King", external_id, "advisor")
    assert (changed.time_factor, changed.extra_minutes) == (Decimal("1.5"), 20)


async def test_a_refused_time_does_not_make_the_details_of_its_page_out_of_date(
    api: Api,
    admin: Person,  # noqa: F811
    student_of_admin: Person,
    browser: Browser,
) -> None:
    path = f"/admin/people/{student_of_admin.id}"
    time = await fields_of(browser, path, f"{path}/time")
    await api.client.patch(f"/api/v1/users/{student_of_admin.id}", json={"name": "Ada"}, headers=admin.headers)
    refused = await browser.send(f"{path}/time", time | {"extra_minutes": "many"})
    details = FormFields(refused.text, path).fields
    await api.client.patch(f"/api/v1/users/{student_of_admin.id}", json={"name": "Ada King"}, headers=admin.headers)

    saved = await browser.send(path, details | {"external_id": unique("id")})

    assert (refused.status_code, saved.status_code) == (400, 303)
    assert (await row(api, student_of_admin.id)).name == "Ada King"


async def test_an_initial_password_must_be_replaced_and_is_never_shown_again(
    student_of_admin: Person, browser: Browser
) -> None:
    answer = await browser.send(f"/admin/people/{student_of_admin.id}/password", {"password": INITIAL})
    page = await browser.open(answer.headers["Location"])
    await browser.sign_in(student_of_admin, INITIAL)

    assert (answer.status_code, INITIAL in page.text) == (303, False)
    assert (await browser.open("/learn")).headers["Location"] == "/account/password"


async def test_the_last_admin_cannot_be_disabled_by_a_page(api: Api, browser: Browser, password_hash: str) -> None:
    async with api.sessions() as session:
        organization = await an_organization(session)
        await session.commit()
    alone = await api.person("admin", of=organization, password_hash=password_hash)
    await browser.sign_in(alone)

    answer = await browser.send(f"/admin/people/{alone.id}/status", {"status": "disabled"})

    assert answer.status_code == 400
    assert (await row(api, alone.id)).status == "active"


async def test_an_export_is_a_download(student_of_admin: Person, browser: Browser) -> None:
    answer = await browser.open(f"/admin/people/{student_of_admin.id}/export")

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{student_of_admin.id}.json"'
    assert answer.json()["users"][0]["id"] == str(student_of_admin.id)


async def test_an_erasure_needs_the_typed_name(api: Api, student_of_admin: Person, browser: Browser) -> None:
    path = f"/admin/people/{student_of_admin.id}/erase"
    name = (await row(api, student_of_admin.id)).name

    page = await browser.open(path)
    refused = await browser.send(path, {"confirmation": name.lower()})
    before = (await row(api, student_of_admin.id)).status
    accepted = await browser.send(path, {"confirmation": f" {name} "})

    assert f"Type “{name}” to confirm" in page.text
    assert (refused.status_code, before) == (400, "active")
    assert (accepted.status_code, (await row(api, student_of_admin.id)).status) == (303, "erasing")


async def test_people_of_another_organization_do_not_exist(api: Api, browser: Browser) -> None:
    stranger = await api.person(elsewhere=True)
    path = f"/admin/people/{stranger.id}"

    pages = [await browser.open(f"{path}{end}") for end in ("", "/export", "/erase")]
    forms = [
        await browser.send(f"{path}/status", {"status": "disabled"}),
        await browser.send(f"{path}/erase", {"confirmation": f"{stranger.id}@example.org"}),
    ]

    assert [each.status_code for each in (*pages, *forms)] == [404] * 5


async def test_a_platform_admin_creates_admins_of_organizations(
    api: Api,
    platform_admin: tuple[Person, Browser],  # noqa: F811
) -> None:
    _, browser = platform_admin
    sent = new_person(role="admin", organization_id=str(api.organization_id))

    page = await browser.open(f"/admin/people/new?organization_id={api.organization_id}")
    answer = await browser.send("/admin/people/new", sent)

    assert "becomes an admin of this organization" in page.text
    assert (await row(api, id_in(answer.headers["Location"]))).organization_id == api.organization_id


async def test_a_form_without_the_token_of_the_session_changes_nothing(
    api: Api, student_of_admin: Person, browser: Browser
) -> None:
    path = f"/admin/people/{student_of_admin.id}"

    answers = [
        await browser.send(f"{path}/status", {"csrf": "", "status": "disabled"}),
        await browser.send("/admin/people/new", {"csrf": "0" * 64, **new_person()}),
        await browser.send(f"{path}/status", {"status": "disabled"}, Origin="https://elsewhere.test"),
    ]

    assert [each.status_code for each in answers] == [403] * 3
    assert (await row(api, student_of_admin.id)).status == "active"


async def test_a_student_gets_more_time(api: Api, browser: Browser, student_of_admin: Person) -> None:
    path = f"/admin/people/{student_of_admin.id}"

    answer = await browser.send(f"{path}/time", {"time_factor": "1,5", "extra_minutes": "20"})

    changed = await row(api, student_of_admin.id)
    assert (answer.status_code, changed.time_factor, changed.extra_minutes) == (303, Decimal("1.50"), 20)
    page = (await browser.open(path)).text
    assert 'name="time_factor" type="text" value="1.5"' in page
    german = (await browser.open(path, **{"Accept-Language": "de"})).text
    assert 'name="time_factor" type="text" value="1,5"' in german


@pytest.mark.parametrize(("factor", "minutes", "field"), [("4", "0", "time_factor"), ("1", "much", "extra_minutes")])
async def test_a_wrong_time_is_explained(
    browser: Browser, student_of_admin: Person, factor: str, minutes: str, field: str
) -> None:
    sent = {"time_factor": factor, "extra_minutes": minutes}

    page = await browser.send(f"/admin/people/{student_of_admin.id}/time", sent)

    assert page.status_code == 400
    assert f'<a href="#{field}">' in page.text
    assert f'value="{sent[field]}"' in page.text


async def test_a_wrong_time_is_explained_in_the_language(browser: Browser, student_of_admin: Person) -> None:
    sent = {"time_factor": "4", "extra_minutes": "0"}

    page = await browser.send(f"/admin/people/{student_of_admin.id}/time", sent, **{"Accept-Language": "de"})

    assert "Zeitfaktor: muss zwischen 1 und 3 liegen, mit höchstens zwei Nachkommastellen" in page.text
