"""Sign in, sign out, the session's life, and the protection of forms."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from persistence.tables import UserRow, WebSessionRow
from tests.api.conftest import Api, Person
from tests.pages.conftest import ORIGIN, PASSWORD, Browser

NEW_PASSWORD = "another horse with a battery"


async def change_session(api: Api, person: Person, **columns: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(WebSessionRow).where(WebSessionRow.user_id == person.id).values(**columns))
        await session.commit()


async def test_signed_out_the_first_page_is_the_sign_in(browser: Browser) -> None:
    first = await browser.open("/")

    assert (first.status_code, first.headers["Location"]) == (303, "/sign-in")
    assert "<h1>Sign in</h1>" in (await browser.open("/sign-in")).text


async def test_signed_in_the_first_page_is_the_home_of_the_role(signed_in: Browser) -> None:
    assert (await signed_in.open("/")).headers["Location"] == "/learn"


async def test_the_cookie_is_bound_to_the_host_and_hidden_from_scripts(browser: Browser, student: Person) -> None:
    cookie = (await browser.sign_in(student)).headers["Set-Cookie"]

    assert cookie.startswith("__Host-microcred=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


async def test_only_the_hash_of_the_session_is_stored(api: Api, signed_in: Browser, student: Person) -> None:
    token = signed_in.client.cookies["__Host-microcred"]
    async with api.sessions() as session:
        stored = await session.scalar(select(WebSessionRow.token_hash).where(WebSessionRow.user_id == student.id))

    assert stored != token
    assert len(stored or "") == 64


async def test_a_wrong_password_and_an_unknown_address_look_the_same(browser: Browser, student: Person) -> None:
    wrong = await browser.sign_in(student, "not the password")
    unknown = await browser.send("/sign-in", {"email": f"{student.id}@example.com", "password": PASSWORD})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(f"{student.id}@example.org", "") == unknown.text.replace(f"{student.id}@example.com", "")


async def test_signing_in_again_replaces_the_session(signed_in: Browser, student: Person) -> None:
    before = signed_in.client.cookies["__Host-microcred"]
    await signed_in.sign_in(student)
    after = signed_in.client.cookies["__Host-microcred"]

    signed_in.client.cookies.set("__Host-microcred", before, domain="pages.test", path="/")

    assert before != after
    assert (await signed_in.open("/learn")).status_code == 303


async def test_after_signing_out_the_old_cookie_is_worthless(signed_in: Browser) -> None:
    token = signed_in.client.cookies["__Host-microcred"]
    answer = await signed_in.send("/sign-out")
    signed_in.client.cookies.set("__Host-microcred", token, domain="pages.test", path="/")

    assert answer.headers["Location"] == "/sign-in?done=signed_out"
    assert (await signed_in.open("/learn")).headers["Location"].startswith("/sign-in")


async def test_two_tabs_share_a_session(signed_in: Browser) -> None:
    token = await signed_in.csrf()

    pages = [await signed_in.open("/learn") for _ in range(2)]

    assert [page.status_code for page in pages] == [200, 200]
    assert await signed_in.csrf() == token


@pytest.mark.parametrize(
    "columns",
    [
        {"last_used_at": func.now() - timedelta(minutes=31)},
        {"expires_at": func.now() - timedelta(seconds=1)},
    ],
    ids=["idle", "expired"],
)
async def test_a_session_ends(api: Api, signed_in: Browser, student: Person, columns: dict[str, Any]) -> None:
    await change_session(api, student, **columns)

    assert (await signed_in.open("/learn")).headers["Location"] == "/sign-in?next=%2Flearn"


@pytest.mark.parametrize("columns", [{"status": "disabled"}, {"token_version": 1}])
async def test_a_session_ends_at_once_with_the_account(
    api: Api, signed_in: Browser, student: Person, columns: dict[str, Any]
) -> None:
    assert (await signed_in.open("/learn")).status_code == 200

    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == student.id).values(**columns))
        await session.commit()

    assert (await signed_in.open("/learn")).status_code == 303


async def test_signing_in_leads_to_the_page_that_was_asked_for(browser: Browser, student: Person) -> None:
    assert (await browser.sign_in(student, next="/learn/roles")).headers["Location"] == "/learn/roles"


async def test_the_sign_in_leads_back_to_a_filtered_list(browser: Browser) -> None:
    answer = await browser.open("/assessments?released=false")

    assert answer.headers["Location"] == f"/sign-in?{urlencode({'next': '/assessments?released=false'})}"


async def test_a_text_is_shown_when_its_session_has_ended(signed_in: Browser) -> None:
    page = "/assessments/5fb06da5-9c1f-4366-8da9-4b61d0e73408/questions/f53a57c3-88e4-59ab-a8d8-2511bb7b2b5a/appeal"
    signed_in.client.cookies.clear()

    answer = await signed_in.send(page, {"reason": "Read </textarea> again."}, Referer=f"{ORIGIN}{page}?order=oldest")

    assert answer.status_code == 401
    assert "Your session has ended" in answer.text
    assert "Read &lt;/textarea&gt; again.</textarea>" in answer.text
    assert f'href="/sign-in?{urlencode({"next": f"{page}?order=oldest"})}"' in answer.text


async def test_a_form_without_a_text_leads_to_the_sign_in_and_back(browser: Browser) -> None:
    answer = await browser.send("/admin/settings", {"audit_share": "5"}, Referer=f"{ORIGIN}/admin/settings")

    assert answer.headers["Location"] == "/sign-in?next=%2Fadmin%2Fsettings"


async def test_an_upload_without_a_session_is_not_read(browser: Browser) -> None:
    parts: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        for part in (b"--x\r\n", b"--x--\r\n"):
            parts.append(part)
            yield part

    headers = {"Accept": "text/html", "Origin": ORIGIN, "Content-Type": "multipart/form-data; boundary=x"}
    answer = await browser.client.post("/admin/people/import", content=body(), headers=headers)

    assert (answer.status_code, parts) == (303, [])


async def test_a_text_of_another_site_is_not_shown(browser: Browser) -> None:
    headers = {"Origin": "https://evil.example", "Referer": "https://evil.example/page"}

    answer = await browser.send("/admin/settings", {"comment": "Read this."}, **headers)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


async def test_a_text_is_shown_when_the_user_has_signed_in_again(signed_in: Browser, student: Person) -> None:
    csrf = await signed_in.csrf()
    await signed_in.sign_in(student)

    page = "/account/language"
    answer = await signed_in.send(page, {"csrf": csrf, "comment": "Good order."}, Referer=f"{ORIGIN}{page}")

    assert answer.status_code == 403
    assert "This form is out of date" in answer.text
    assert "Good order.</textarea>" in answer.text
    assert f'href="{page}">Open the page again' in answer.text


@pytest.mark.parametrize("referer", ["https://[", f"{ORIGIN}//evil.example/page", "null", "//pages.test/"])
async def test_a_form_without_a_page_of_this_site_leads_to_the_sign_in_only(browser: Browser, referer: str) -> None:
    answer = await browser.send("/admin/settings", {"audit_share": "5"}, Referer=referer)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


async def test_the_page_of_an_outdated_form_never_leads_to_another_site(signed_in: Browser, student: Person) -> None:
    csrf = await signed_in.csrf()
    await signed_in.sign_in(student)

    answer = await signed_in.send("/account/language", {"csrf": csrf}, Referer=f"{ORIGIN}//evil.example/page")

    assert (answer.status_code, "evil.example" in answer.text) == (403, False)


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/\t/evil"])
async def test_signing_in_never_leads_to_another_site(browser: Browser, student: Person, target: str) -> None:
    assert (await browser.sign_in(student, next=target)).headers["Location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "pages.test"},
        {"Origin": "https://["},
        {"Origin": "https://[pages.test]"},
        {"Origin": "https://pages.test@evil.example"},
        {"Origin": "https://pages.test", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_form_of_another_site_is_refused(browser: Browser, student: Person, headers: dict[str, str]) -> None:
    answer = await browser.send("/sign-in", {"email": f"{student.id}@example.org", "password": PASSWORD}, **headers)

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
async def test_a_form_without_the_token_of_the_session_is_refused(signed_in: Browser, csrf: str) -> None:
    assert (await signed_in.send("/sign-out", {"csrf": csrf})).status_code == 403
    assert (await signed_in.open("/learn")).status_code == 200


async def test_the_token_of_another_session_is_refused(
    new_browser: Callable[[], Browser], signed_in: Browser, student: Person
) -> None:
    other = new_browser()
    await other.sign_in(student)

    assert (await signed_in.send("/sign-out", {"csrf": await other.csrf()})).status_code == 403


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=1&a=2", "application/x-www-form-urlencoded", 400),
        (b"a=%00", "application/x-www-form-urlencoded", 400),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=" % each for each in range(300)), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data; boundary=x", 415),
    ],
    ids=["twice", "NUL", "not UTF-8", "many fields", "large", "JSON", "multipart"],
)
async def test_a_form_is_read_strictly(signed_in: Browser, body: bytes, kind: str, status: int) -> None:
    headers = {"Origin": "https://pages.test", "Content-Type": kind, "X-CSRF-Token": await signed_in.csrf()}

    answer = await signed_in.client.post("/account/password", content=body, headers=headers)

    assert answer.status_code == status


async def test_a_password_of_an_admin_must_be_changed_first(
    api: Api, new_browser: Callable[[], Browser], password_hash: str
) -> None:
    person = await api.person(password_hash=password_hash, must_change_password=True)
    browser, other = new_browser(), new_browser()
    await browser.sign_in(person)
    await other.sign_in(person)
    assert (await browser.open("/learn")).headers["Location"] == "/account/password"

    changed = await browser.send(
        "/account/password",
        {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD},
    )

    assert changed.headers["Location"] == "/?done=password_changed"
    assert (await browser.open("/?done=password_changed")).headers["Location"] == "/learn?done=password_changed"
    assert (await browser.open("/learn")).status_code == 200
    assert (await other.open("/learn")).status_code == 303


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"current_password": "wrong"}, "This is not your current password."),
        ({"new_password": "short", "repeated_password": "short"}, "The new password"),
        ({"repeated_password": "something else"}, "The two new passwords are not the same."),
    ],
)
async def test_a_password_change_that_is_refused_says_why(
    signed_in: Browser, fields: dict[str, str], shown: str
) -> None:
    sent = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD, **fields}

    answer = await signed_in.send("/account/password", sent)

    assert answer.status_code == 400
    assert answer.text.count(shown) == 2  # in the summary and next to the field
    assert NEW_PASSWORD not in answer.text


async def test_a_part_of_a_page_is_refused_without_a_session_and_the_page_leads_to_the_sign_in(
    browser: Browser,
) -> None:
    path = f"/learn/assessments/{uuid4()}/progress"

    part, page = await browser.open(path, **{"HX-Request": "true"}), await browser.open(path)

    assert part.status_code == 401
    assert page.headers["Location"] == f"/sign-in?{urlencode({'next': path})}"
