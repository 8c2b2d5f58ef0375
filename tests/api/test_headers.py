"""Response headers and CORS."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from api.app import build
from api.middleware.response_headers import HttpSettings
from tests.api.conftest import UNLIMITED, Api, Person

ORIGIN = "https://app.example.org"
NO_BROWSER = "default-src 'none'; frame-ancestors 'none'"


@asynccontextmanager
async def client_of(api: Api, base_url: str = "http://api.test", **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = build(http=HttpSettings(**settings), limits=UNLIMITED)
    app.state.services = api.services
    transport = httpx.ASGITransport(app, client=("10.1.2.3", 4711))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/me", 200),
        ("GET", "/api/v1/assessments/nothing", 400),
        ("POST", "/api/v1/assessments/start", 415),
        ("GET", "/nowhere", 404),
        ("GET", "/healthz", 200),
    ],
)
async def test_no_answer_is_sniffed_framed_or_kept(
    api: Api, learner: Person, method: str, path: str, status: int
) -> None:
    answer = await api.client.request(method, path, headers=learner.headers)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"] == NO_BROWSER
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_documentation_pages_load_from_the_api_alone(api: Api, path: str) -> None:
    page = await api.client.get(path)
    loaded = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', page.text)
    answers = {url: await api.client.get(url) for url in loaded}

    assert page.status_code == 200
    assert "https://" not in page.text + page.headers["Content-Security-Policy"]
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert {url: answer.status_code for url, answer in answers.items()} == dict.fromkeys(loaded, 200)
    assert any(url.endswith(".js") for url in loaded)
    assert not any("no-store" in answer.headers.get("Cache-Control", "") for answer in answers.values())


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/docs/assets/nothing.js", (404, "NOT_FOUND_404")),
        ("/docs/assets/../../app.py", (404, "NOT_FOUND_404")),
        ("/docs/assets/%2e%2e/core.py", (400, "VALIDATION_400")),
    ],
)
async def test_other_files_are_not_served_with_the_documentation(api: Api, path: str, refusal: tuple[int, str]) -> None:
    answer = await api.client.get(path)

    assert (answer.status_code, answer.json()["error_code"]) == refusal


@pytest.mark.parametrize(
    ("environment", "url", "forwarded", "proxies", "strict"),
    [
        ("production", "https://api.test", "", "", True),
        ("production", "http://api.test", "", "", False),
        ("production", "http://api.test", "https", "10.0.0.0/8", True),
        ("production", "http://api.test", "https", "", False),
        ("production", "http://api.test", "http", "10.0.0.0/8", False),
        ("development", "https://api.test", "", "", False),
    ],
)
async def test_https_responses_have_strict_transport_security(  # the table
    api: Api, environment: str, url: str, forwarded: str, proxies: str, *, strict: bool
) -> None:
    async with client_of(api, url, microcred_env=environment, trusted_proxies=proxies) as client:
        answer = await client.get("/healthz", headers={"X-Forwarded-Proto": forwarded} if forwarded else {})
    assert ("Strict-Transport-Security" in answer.headers) is strict


async def test_by_default_no_page_of_another_origin_may_call(api: Api) -> None:
    answer = await api.client.get("/healthz", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_allowed_origins_may_call_and_read_what_they_need(api: Api, learner: Person) -> None:
    async with client_of(api, cors_origins=f"{ORIGIN}, http://localhost:3000") as client:
        asked = await client.options(
            "/api/v1/assessments/start",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
            },
        )
        answer = await client.get("/api/v1/me", headers=learner.headers | {"Origin": ORIGIN})
        stranger = await client.get("/api/v1/me", headers=learner.headers | {"Origin": "https://evil.example"})
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"RateLimit", "Retry-After", "X-Request-Id"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in stranger.headers


async def test_the_openapi_document_is_rendered_once() -> None:
    app = build(http=HttpSettings(), limits=UNLIMITED)
    renderings: list[dict[str, Any]] = []

    def rendered() -> dict[str, Any]:
        renderings.append({"openapi": "3.1.0"})
        return renderings[-1]

    app.openapi = rendered  # type: ignore[method-assign]  # as api/openapi.py does
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        answers = [await client.get("/openapi.json") for _ in range(3)]

    assert [each.json() for each in answers] == [{"openapi": "3.1.0"}] * 3
    assert len(renderings) == 1


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "https://*.example.org",
        "app.example.org",
        "https://app.example.org/",
        "null",
        "https://[app",
        "https://app.example.org:99999",
        "https://app.example.org:0",
    ],
)
def test_an_invalid_origin_stops_the_start(value: str) -> None:
    with pytest.raises(ValidationError, match="origins"):
        HttpSettings(cors_origins=value)


@pytest.mark.parametrize("value", ["proxy", "10.0.0.1/8", "300.1.1.1"])
def test_a_proxy_that_is_no_address_stops_the_start(value: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(trusted_proxies=value)
