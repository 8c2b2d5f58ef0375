"""The pages of links: an admin creates one, the person sets a password with it."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import HttpUrl, SecretStr
from sqlalchemy import select

from persistence.tables import AccountLinkRow
from tests.api.conftest import Api, Person
from tests.pages.admin import admin, unique  # noqa: F401  # fixtures
from tests.pages.conftest import ORIGIN, Browser
from tests.support.fake_engine import RecordingLinkMails

NEW = "another horse with a battery"
SHOWN = re.compile(r'id="secret">([^<]+)<')
ONCE = re.compile(r'name="once" value="([^"]+)"')

pytestmark = pytest.mark.usefixtures("admin")


@pytest.fixture
async def person(api: Api) -> Person:
    return await api.person(name=unique("Ada"))


async def once(browser: Browser, person: Person) -> str:
    found = ONCE.search((await browser.open(f"/admin/people/{person.id}")).text)
    assert found
    return found[1]


async def link_for(browser: Browser, person: Person) -> str:
    answer = await browser.send(f"/admin/people/{person.id}/link", {"delivery": "show"})
    found = SHOWN.search(answer.text)
    assert found, answer.text
    return html.unescape(found[1])


async def set_password(browser: Browser, token: str, new: str = NEW, again: str = NEW) -> str:
    """Send the form; return the address that it redirects to, or the page."""
    fields = {"token": token, "new_password": new, "repeated_password": again}
    answer = await browser.send("/set-password", fields)
    return str(answer.headers.get("Location", answer.text))


async def test_an_invited_person_sets_a_password_and_signs_in(
    browser: Browser, new_browser: Callable[[], Browser], person: Person
) -> None:
    link, theirs = await link_for(browser, person), new_browser()
    page = await theirs.open("/set-password")

    location = await set_password(theirs, link.partition("#")[2])

    assert (link.partition("#")[0], page.status_code) == (f"{ORIGIN}/set-password", 200)
    assert location == "/sign-in?done=password_set"
    assert (await theirs.sign_in(person, NEW)).status_code == 303


async def test_a_whole_link_can_be_pasted_into_the_field(
    browser: Browser, new_browser: Callable[[], Browser], person: Person
) -> None:
    assert (await set_password(new_browser(), await link_for(browser, person))).startswith("/sign-in")


async def test_a_used_link_is_explained(browser: Browser, new_browser: Callable[[], Browser], person: Person) -> None:
    link, theirs = await link_for(browser, person), new_browser()
    await set_password(theirs, link)

    assert "This link no longer works" in await set_password(theirs, link)


async def test_two_different_passwords_leave_the_link_valid(
    browser: Browser, new_browser: Callable[[], Browser], person: Person
) -> None:
    link, theirs = await link_for(browser, person), new_browser()

    page = await set_password(theirs, link, again="something else entirely")

    assert "are not the same" in page
    assert (await set_password(theirs, link)).startswith("/sign-in")


async def test_a_weak_password_is_explained_in_the_language(
    browser: Browser, new_browser: Callable[[], Browser], person: Person
) -> None:
    fields = {"token": await link_for(browser, person), "new_password": "short", "repeated_password": "short"}

    page = (await new_browser().send("/set-password", fields, **{"Accept-Language": "de"})).text

    assert "Das neue Passwort muss 12 bis 72 Zeichen haben; Umlaute und Sonderzeichen zählen mehrfach." in page


async def test_a_session_of_another_person_in_the_same_browser_ends(browser: Browser, person: Person) -> None:
    await set_password(browser, await link_for(browser, person))

    assert (await browser.open("/account/password")).status_code == 303


async def test_a_form_of_another_site_sets_no_password(new_browser: Callable[[], Browser]) -> None:
    answer = await new_browser().send("/set-password", {"token": "x"}, Origin="https://evil.example")

    assert answer.status_code == 403


async def test_a_reloaded_answer_creates_no_second_link(browser: Browser, person: Person) -> None:
    fields = {"delivery": "show", "once": await once(browser, person)}

    first, again = [await browser.send(f"/admin/people/{person.id}/link", fields) for _ in range(2)]

    assert (first.status_code, again.status_code) == (200, 303)
    assert SHOWN.search((await browser.open(again.headers["Location"])).text) is None


async def test_the_page_of_a_person_shows_that_a_link_exists_and_not_the_link(browser: Browser, person: Person) -> None:
    link = await link_for(browser, person)

    page = (await browser.open(f"/admin/people/{person.id}")).text

    assert "A link was created." in page
    assert link.partition("#")[2] not in page


async def test_without_a_mail_server_no_mail_is_offered(browser: Browser, person: Person) -> None:
    assert "by e-mail" not in (await browser.open(f"/admin/people/{person.id}")).text


@pytest.fixture
def mails(api: Api, app: FastAPI) -> Iterator[RecordingLinkMails]:
    """The recorded calls to the engine, in an app that sends mails."""
    runs = RecordingLinkMails()
    changes = {"smtp_url": SecretStr("smtp://mail.example"), "public_url": HttpUrl("https://learn.example")}
    settings = api.services.settings.model_copy(update=changes)
    people = replace(api.services.people, link_runs=runs)
    app.state.services = replace(api.services, settings=settings, people=people)
    yield runs
    app.state.services = api.services


async def test_an_admin_sends_a_link_by_mail(
    api: Api, browser: Browser, person: Person, mails: RecordingLinkMails
) -> None:
    answer = await browser.send(f"/admin/people/{person.id}/link", {"delivery": "mail"})
    page = (await browser.open(answer.headers["Location"])).text

    assert "The link is on its way" in page
    assert "A link waits to be sent" in page
    assert mails.started == [await _link_id(api, person)]


async def _link_id(api: Api, person: Person) -> UUID:
    async with api.sessions() as session:
        return (await session.scalars(select(AccountLinkRow.id).where(AccountLinkRow.user_id == person.id))).one()


async def test_a_person_without_an_initial_password_is_invited(browser: Browser) -> None:
    fields = {"email": f"{unique('ada')}@example.org", "role": "student", "password": ""}

    answer = await browser.send("/admin/people/new", fields)
    page = await browser.open(answer.headers["Location"])

    assert "Now send the person a link" in page.text
