"""Signed-in admins for the tests of the admin's pages."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.api.conftest import Api, Person
from tests.pages.conftest import ORIGIN, Browser


def unique(prefix: str) -> str:
    """Return an e-mail address or a name that no other test uses: the tests share a database."""
    return f"{prefix}-{uuid4().hex[:8]}"


async def upload(browser: Browser, path: str, content: bytes | str, **fields: str) -> httpx.Response:
    """Send a form with a file as browsers do."""
    data = {"csrf": await browser.csrf(), **fields}
    files = {"file": ("table.csv", content, "text/csv")}
    return await browser.client.post(path, data=data, files=files, headers={"Accept": "text/html", "Origin": ORIGIN})


async def send_multipart(browser: Browser, path: str, **fields: str) -> httpx.Response:
    """Send a multipart form without a file."""
    parts = {name: (None, value) for name, value in {"csrf": await browser.csrf(), **fields}.items()}
    return await browser.client.post(path, files=parts, headers={"Accept": "text/html", "Origin": ORIGIN})


async def signed_in_as(api: Api, browser: Browser, role: str, password_hash: str, **columns: Any) -> Person:
    person = await api.person(role, password_hash=password_hash, **columns)
    answer = await browser.sign_in(person)
    assert answer.status_code == 303, answer.text
    return person


@pytest.fixture
async def admin(api: Api, browser: Browser, password_hash: str) -> Person:
    return await signed_in_as(api, browser, "admin", password_hash)


@pytest.fixture
async def platform_admin(api: Api, new_browser: Callable[[], Browser], password_hash: str) -> tuple[Person, Browser]:
    browser = new_browser()
    return await signed_in_as(api, browser, "platform_admin", password_hash), browser


class FormFields(HTMLParser):
    """The fields that a browser sends for the form with an `action`, if its user changes nothing."""

    def __init__(self, html: str, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._action = action
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self._inside = values.get("action") == self._action
        if tag == "input" and self._inside and (values.get("type") not in {"radio", "checkbox"} or "checked" in values):
            self.fields[values["name"] or ""] = values.get("value", "on") or ""


async def fields_of(browser: Browser, path: str, action: str | None = None) -> dict[str, str]:
    """Open a page and return the fields of its form for `action`, by default the page's own path."""
    return FormFields((await browser.open(path)).text, action or path).fields


def id_in(location: str) -> UUID:
    """Return the id at the end of the path that a form redirects to."""
    return UUID(location.partition("?")[0].rpartition("/")[2])
