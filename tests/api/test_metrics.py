"""Prometheus metrics, and who may scrape them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.app import build
from api.middleware.request_metrics import MetricsSettings
from domain.grading.scores import DegradedReason
from domain.sweeps import Concern
from tests.api.conftest import UNLIMITED, Api, Person

Samples = dict[tuple[str, tuple[str, ...]], float]


@asynccontextmanager
async def scraper(api: Api, *, at: str = "127.0.0.1", **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = build(limits=UNLIMITED, may_scrape=MetricsSettings(**settings))
    app.state.services = api.services
    transport = httpx.ASGITransport(app, client=(at, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


async def samples(client: httpx.AsyncClient, path: str = "/metrics") -> Samples:
    """Return the values by name and label values."""
    answer = await client.get(path)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(each.name, tuple(each.labels.values())): each.value for family in families for each in family.samples}


async def test_requests_are_counted_and_timed_by_route(api: Api, learner: Person) -> None:
    async with scraper(api) as client:
        for path in ("/api/v1/me", "/api/v1/me", "/api/v1/assessments/no-id"):
            await client.get(path, headers=learner.headers)
        await client.get("/api/v1/me")
        found = await samples(client)

    assert found["microcred_http_requests_total", ("read_me", "200")] == 2
    assert found["microcred_http_requests_total", ("read_me", "401")] == 1
    assert found["microcred_http_requests_total", ("read_status", "400")] == 1
    assert found["microcred_http_request_duration_seconds_count", ("read_me",)] == 3


async def test_paths_that_are_not_there_share_one_series(api: Api) -> None:
    async with scraper(api) as client:
        for path in ("/wp-login.php", "/api/v1/nothing", "/.env"):
            await client.get(path)
        found = await samples(client)

    assert found["microcred_http_requests_total", ("none", "404")] == 3
    assert not [name for name, labels in found if "env" in str(labels) or "wp" in str(labels)]


async def test_a_bug_is_counted_as_500(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scraper(api) as client:
        monkeypatch.setattr(api.services.queries, "ping", _broken)
        await client.get("/readyz")
        found = await samples(client)

    assert found["microcred_http_requests_total", ("readyz", "500")] == 1


async def _broken() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("path", ["/metrics", "/metrics/work"])
@pytest.mark.parametrize(
    ("at", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("10.1.2.3", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("10.1.2.3", {"Authorization": "Bearer a-token-for-scrapers"}, 200),
        ("10.1.2.3", {"Authorization": "Bearer another-token-it-is"}, 401),
    ],
)
async def test_who_scrapes_comes_from_near_or_with_the_token(
    api: Api, path: str, at: str, headers: dict[str, str], status: int
) -> None:
    async with scraper(api, at=at, token=SecretStr("a-token-for-scrapers")) as client:
        answer = await client.get(path, headers=headers)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "header",
    [
        "CF-Connecting-IP",
        "Client-IP",
        "Forwarded",
        "True-Client-IP",
        "Via",
        "X-Client-IP",
        "X-Envoy-External-Address",
        "X-Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Original-Forwarded-For",
        "X-Real-IP",
    ],
)
async def test_what_a_proxy_passes_on_does_not_come_from_near(api: Api, header: str) -> None:
    async with scraper(api) as client:
        assert (await client.get("/metrics", headers={header: "127.0.0.1"})).status_code == 401


async def test_networks_are_a_setting(api: Api) -> None:
    async with scraper(api, at="10.1.2.3", networks="10.0.0.0/8") as client:
        assert (await client.get("/metrics")).status_code == 200


async def test_work_that_waits_is_counted(api: Api, learner: Person) -> None:
    async with scraper(api) as client:
        before = await samples(client, "/metrics/work")
        await api.submit(learner, await api.start(learner))
        await api.completed(await api.person(), needs_review=True)
        after = await samples(client, "/metrics/work")

    def grown(name: str) -> float:
        return after[name, ()] - before[name, ()]

    assert grown("microcred_assessments_unfinished") == 1
    assert grown("microcred_essays_awaiting_review") >= 1
    assert after["microcred_oldest_unfinished_seconds", ()] > 0
    assert after["microcred_source_up", ("postgres",)] == 1


async def test_degraded_results_are_counted_by_the_provider_that_they_wait_for(api: Api) -> None:
    async with scraper(api) as client:
        before = await samples(client, "/metrics/work")
        await api.completed(await api.person(), degraded_reason=DegradedReason.ESSAY_GRADER_LOCAL)
        after = await samples(client, "/metrics/work")

    def grown(provider: str) -> float:
        return (
            after[f"microcred_results_awaiting_{provider}", ()] - before[f"microcred_results_awaiting_{provider}", ()]
        )

    assert (grown("model"), grown("search")) == (1, 0)


async def test_the_age_of_the_last_sweep_is_told_for_every_concern(api: Api) -> None:
    async with scraper(api) as client:
        found = await samples(client, "/metrics/work")

    ages = {labels: age for (name, labels), age in found.items() if name == "microcred_sweep_age_seconds"}
    assert set(ages) == {(concern.value,) for concern in Concern}
    assert min(ages.values()) >= 0


async def test_an_engine_that_does_not_answer_is_told_as_down(api: Api) -> None:
    async with scraper(api) as client:
        found = await samples(client, "/metrics/work")

    assert found["microcred_source_up", ("temporal",)] == 0
    assert ("microcred_queue_backlog", ("assessments", "workflow")) not in found
