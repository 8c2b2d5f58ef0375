"""Browsers without scripts for the pages of the real app, on the database of the API's tests."""

import html
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser as Chrome
from playwright.sync_api import Page

from api.security.passwords import hash_password
from tests.api.conftest import (  # noqa: F401  # fixtures
    Api,
    Person,
    all_appeals,
    all_deliveries,
    all_erasures,
    all_runs,
    api,
    api_database,
    api_engine,
    app,
    appeal_runs,
)
from tests.pages.chromium import chromium, opened_page
from tests.support.databases import Databases
from tests.support.deployment import Deployment, DeploymentWithoutWorker, database_with_accounts

if TYPE_CHECKING:
    from tests.pages.advisors import Staff

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
async def new_browser(app: FastAPI) -> AsyncIterator[Callable[[], Browser]]:  # noqa: F811
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


@pytest.fixture(scope="session")
def site(databases: Databases, worker_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The API and Temporal as processes, with the demo's accounts and content, for all modules. Nothing is graded."""
    with (
        database_with_accounts(databases, f"{worker_name}_site") as url,
        DeploymentWithoutWorker(tmp_path_factory.mktemp("site"), url) as deployment,
    ):
        yield deployment


@pytest.fixture(scope="module")
def chrome(site: Deployment) -> Iterator[Chrome]:
    """Chromium for one module. It starts after the site, because Playwright blocks `asyncio.run` until it stops."""
    assert site.api_url
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(site: Deployment, chrome: Chrome) -> Iterator[Page]:
    with opened_page(chrome, site.api_url) as page:
        yield page


@pytest.fixture
async def staff(api: Api, new_browser: Callable[[], Browser], password_hash: str) -> "Staff":  # noqa: F811
    from tests.pages.advisors import Staff  # noqa: PLC0415  # it imports this module

    return await Staff.of(api, new_browser, password_hash)
