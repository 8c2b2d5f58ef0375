"""The steps that add the demo's learners: what they send to the API, and what a second run adds."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from deploy.local import demo_client, demo_cohort
from deploy.local.demo_client import Account, Demo
from deploy.local.demo_cohort import add_cohort, is_complete
from deploy.local.demo_learners import load_cohort

Json = dict[str, Any]
ADMIN = "admin@demo.example"


@dataclass
class Platform:
    """The routes that the demo calls. Every submitted assessment has a result at once. `log` has each change."""

    users: set[str] = field(default_factory=set)
    assessments: dict[str, list[Json]] = field(default_factory=dict)
    rated: set[str] = field(default_factory=set)
    appeals: list[Json] = field(default_factory=list)
    settings: Json = field(default_factory=dict)
    log: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        caller = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.method == "GET":
            return self.read(path, caller)
        if path == "/auth/token":
            return httpx.Response(200, json={"access_token": parse_qs(request.content.decode())["username"][0]})
        body = request.content.decode()
        return self.write(path, caller, body if path.endswith("/imports") else json.loads(body))

    def read(self, path: str, caller: str) -> httpx.Response:
        if path == "/appeals":
            return httpx.Response(200, json={"items": self.appeals})
        if path == "/assessments":
            return httpx.Response(200, json={"items": self.assessments.get(caller, [])[::-1]})
        if path.endswith("/feedback"):
            assert caller == ADMIN
            recommendation_id = path.split("/")[2]
            return httpx.Response(200, json={"items": [{}] if recommendation_id in self.rated else []})
        assert path.endswith("/result"), path
        return httpx.Response(200, json={"recommendation_id": path.split("/")[2]})

    def write(self, path: str, caller: str, body: Any) -> httpx.Response:
        status = 200
        match path.strip("/").split("/"):
            case ["organization", "settings"]:
                self.settings |= body
            case ["users"]:
                status = 409 if body["email"] in self.users else 201
                self.users.add(body["email"])
                self.log["accounts"] += status == 201
            case ["users", "imports"]:
                self.log["imports"] += 1
            case ["assessments", "start"]:
                return httpx.Response(201, json={"assessment_id": f"{caller}-{self.log['attempts']}", "questions": []})
            case ["assessments", assessment_id, "responses"]:
                self.log["attempts"] += 1
                taken = {"assessment_id": assessment_id, "status": "completed", "release": self.settings["release"]}
                self.assessments.setdefault(caller, []).append(taken)
            case ["assessments", _, "appeals"]:
                self.appeals.append(body)
            case ["recommendations", recommendation_id, "feedback"]:
                self.log["ratings"] += 1
                self.rated.add(recommendation_id)
            case _:
                raise AssertionError(path)
        return httpx.Response(status, json={})


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    platform = Platform()
    real = httpx.AsyncClient

    def client(**options: Any) -> httpx.AsyncClient:
        return real(transport=httpx.MockTransport(platform), **options)

    monkeypatch.setattr(httpx, "AsyncClient", client)
    monkeypatch.setattr(demo_cohort, "say", lambda _: None)
    return platform


async def add() -> bool:
    """Add the cohort, and return whether it is complete."""
    account = Account(email=ADMIN, password="a-password")
    demo = Demo(
        api_url="http://api.test", ui_url="", namespace="default", student=account, advisor=account, admin=account
    )
    async with demo_client.signed_in(demo.api_url, demo.admin) as admin:
        await add_cohort(demo, admin)
        return await is_complete(admin)


async def test_24_learners_take_30_assessments_and_one_appeals(platform: Platform) -> None:
    complete = await add()

    ratings = sum(each.rating is not None for each in load_cohort().learners)
    assert platform.log == {"accounts": 24, "attempts": 30, "ratings": ratings, "imports": 1}
    assert len(platform.appeals) == 1
    assert complete


async def test_exactly_one_result_is_held_and_later_ones_are_not(platform: Platform) -> None:
    await add()

    taken = [(email, each["release"]) for email, items in platform.assessments.items() for each in items]
    assert [email for email, release in taken if release == "all_held"] == [load_cohort().held.email]
    assert platform.settings["release"] == "at_once"


async def test_a_second_run_after_an_interruption_adds_only_what_is_missing(platform: Platform) -> None:
    await add()
    before = dict(platform.log)
    platform.appeals.clear()
    platform.assessments[load_cohort().learners[0].email].pop()

    await add()

    assert {name: count - before[name] for name, count in platform.log.items()} == {
        "accounts": 0,
        "attempts": 1,
        "ratings": 1,
        "imports": 1,
    }
    assert len(platform.appeals) == 1
