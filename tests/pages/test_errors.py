"""Errors that middleware writes are pages for browsers, and JSON for scripts and for REST clients."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from api.app import build
from api.middleware.response_headers import HttpSettings
from api.pages.session import SECURE_COOKIE
from tests.api.conftest import UNLIMITED, Api
from tests.pages.conftest import ORIGIN, Browser

SECRET = "a message with personal data"


class Broken:
    """A service whose use is a bug."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(SECRET)


@dataclass
class Slow:
    """Sessions that are read when `end` is set."""

    used: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.Event = field(default_factory=asyncio.Event)

    async def use(self, token: str) -> None:
        assert token
        self.used.set()
        await self.end.wait()


@pytest.fixture
async def broken(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that cannot read any session."""
    app = build(limits=UNLIMITED)
    app.state.services = replace(api.services, pages=replace(api.services.pages, sessions=Broken()))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies={SECURE_COOKIE: "x"}) as client:
        yield client


def is_page(answer: httpx.Response, title: str) -> bool:
    kind = answer.headers["Content-Type"].startswith("text/html")
    return kind and f"<h1>{title}</h1>" in answer.text and "script-src" not in answer.headers["Content-Security-Policy"]


async def test_a_bug_in_a_page_is_a_page_with_a_reference(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/learn", headers={"Accept": "text/html", "X-Request-Id": "reference-1234"})

    assert (answer.status_code, is_page(answer, "Something went wrong")) == (500, True)
    assert "reference-1234" in answer.text
    assert answer.headers["X-Request-Id"] == "reference-1234"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert SECRET not in answer.text


async def test_a_bug_is_json_for_a_script_of_a_page(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/learn", headers={"Accept": "application/json, text/html"})

    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_500")


async def test_a_path_that_is_not_canonical_is_a_page(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/learn//roles", headers={"Accept": "text/html"})

    assert (answer.status_code, is_page(answer, "This request is not valid")) == (400, True)


@pytest.mark.parametrize(
    ("path", "accept"), [("/learn//roles", "*/*"), ("/api/v1//roles", "text/html"), ("/learn//x", "application/json")]
)
async def test_a_path_that_is_not_canonical_is_json_for_other_clients(
    broken: httpx.AsyncClient, path: str, accept: str
) -> None:
    answer = await broken.get(path, headers={"Accept": accept})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


@pytest.mark.parametrize(("path", "page"), [("/sign-in", True), ("/api/v1/roles", False)])
async def test_an_overload_is_a_page_with_the_time_to_wait(api: Api, path: str, *, page: bool) -> None:
    sessions = Slow()
    app = build(http=HttpSettings(api_max_requests=1), limits=UNLIMITED)
    app.state.services = replace(api.services, pages=replace(api.services.pages, sessions=sessions))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies={SECURE_COOKIE: "x"}) as client:
        first = asyncio.create_task(client.get("/learn"))
        await sessions.used.wait()

        refused = await client.get(path, headers={"Accept": "text/html"})

        sessions.end.set()
        await first
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert is_page(refused, "The service is not available right now") is page


async def test_the_state_of_the_service_stays_json_in_a_browser(api: Api) -> None:
    answer = await api.client.get("/readyz", headers={"Accept": "text/html"})

    assert answer.headers["Content-Type"] == "application/json"


async def test_without_pages_errors_are_json(api: Api) -> None:
    app = build(http=HttpSettings(api_pages=False), limits=UNLIMITED)
    app.state.services = api.services
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        answer = await client.get("/learn//roles", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


async def test_a_path_that_does_not_exist_keeps_the_menu_of_the_session(signed_in: Browser) -> None:
    answer = await signed_in.open("/nothing-here", Accept="text/html")

    assert (answer.status_code, is_page(answer, "Page not found")) == (404, True)
    assert 'href="/learn"' in answer.text
    assert "Go to your home page" in answer.text


async def test_a_path_that_does_not_exist_is_a_page_without_sessions_too(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/nothing-here", headers={"Accept": "text/html"})

    assert (answer.status_code, is_page(answer, "Page not found")) == (404, True)
    assert "Go to the start page" in answer.text
