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
from tests.pages.chromium import PATIENCE_MS, chromium
from tests.support import model_server
from tests.support.databases import Databases
from tests.support.deployment import Deployment, seeded_database
from tests.support.model_server import ModelServer

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
def model() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture(scope="session")
def site(
    databases: Databases, worker_name: str, model: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The API and a worker as processes, with the demo's accounts and content."""
    directory = tmp_path_factory.mktemp("site")
    with seeded_database(databases, f"{worker_name}_site", directory) as url:
        environment = {"OPENAI_API_KEY": model_server.KEY, "OPENAI_BASE_URL": model.base_url}
        with Deployment(directory, url, environment) as deployment:
            yield deployment


@pytest.fixture(scope="module")
def chrome(site: Deployment) -> Iterator[Chrome]:
    """Chromium for one module. It starts after the site, because Playwright blocks `asyncio.run` until it stops."""
    assert site.api_url
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(site: Deployment, chrome: Chrome) -> Iterator[Page]:
    """A page of a new browser without cookies. The test fails if a script fails or the page's policy is violated."""
    context = chrome.new_context(base_url=site.api_url, locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert problems == []


@pytest.fixture
async def staff(api: Api, new_browser: Callable[[], Browser], password_hash: str) -> "Staff":  # noqa: F811
    from tests.pages.advisors import Staff  # noqa: PLC0415  # it imports this module

    return await Staff.of(api, new_browser, password_hash)
