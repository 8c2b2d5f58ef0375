"""Browsers without scripts for the pages of the real app, on the database of the API's tests."""

import html
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.security.passwords import hash_password
from tests.api.conftest import (  # noqa: F401  # fixtures
    Api,
    Person,
    all_deliveries,
    all_erasures,
    all_runs,
    api,
    api_database,
    api_engine,
    app,
)

ORIGIN = "https://pages.test"
PASSWORD = "correct horse battery staple"
_HIDDEN = re.compile(r'name="csrf" value="(?P<value>[^"]*)"')


@dataclass
class Browser:
    """A client with cookies that sends forms as browsers do. It does not follow redirects."""

    client: httpx.AsyncClient

    async def open(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={"Accept": "text/html", **headers})

    async def send(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Send a form. Without `csrf` in the fields, the token of the session is added."""
        fields = {"csrf": await self.csrf(), **(fields or {})}
        return await self.client.post(path, data=fields, headers={"Accept": "text/html", "Origin": ORIGIN, **headers})

    async def sign_in(self, person: Person, password: str = PASSWORD, **fields: str) -> httpx.Response:
        return await self.send("/sign-in", {"email": f"{person.id}@example.org", "password": password, **fields})

    async def csrf(self) -> str:
        """Return the token in the forms of this session; "" without a session."""
        page = await self.client.get("/account/password")
        found = _HIDDEN.search(page.text)
        return html.unescape(found["value"]) if found else ""


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
async def new_browser(app: FastAPI, api: Api) -> AsyncIterator[Callable[[], Browser]]:  # noqa: F811
    """Open browsers that share nothing."""
    clients: list[httpx.AsyncClient] = []

    def opened() -> Browser:
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN))
        return Browser(clients[-1])

    yield opened
    for client in clients:
        await client.aclose()


@pytest.fixture
def browser(new_browser: Callable[[], Browser]) -> Browser:
    return new_browser()


@pytest.fixture
async def student(api: Api, password_hash: str) -> Person:  # noqa: F811
    return await api.person(password_hash=password_hash)


@pytest.fixture
async def signed_in(browser: Browser, student: Person) -> Browser:
    answer = await browser.sign_in(student)
    assert answer.status_code == 303, answer.text
    return browser
