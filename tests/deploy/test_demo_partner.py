"""The demo's partner: which events it accepts, and what happens to its endpoints."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from deploy.local.demo_partner import PATH, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = {"type": "assessment.completed", "data": {"assessment_id": "one"}}


@dataclass
class Platform:
    """The routes of endpoints. With `takes_loopback=False` they refuse every registration."""

    endpoints: dict[str, str] = field(default_factory=dict)
    takes_loopback: bool = True
    enabled: dict[str, bool] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            items = [{"endpoint_id": name, "url": url} for name, url in self.endpoints.items()]
            return httpx.Response(200, json={"items": items})
        endpoint_id = request.url.path.rpartition("/")[2]
        if request.method == "DELETE":
            del self.endpoints[endpoint_id]
            return httpx.Response(204)
        if request.method == "PATCH":
            self.enabled[endpoint_id] = json.loads(request.content)["enabled"]
            return httpx.Response(200, json={})
        if not self.takes_loopback:
            return httpx.Response(400, json={"error_code": "VALIDATION_400"})
        self.endpoints["new"] = json.loads(request.content)["url"]
        return httpx.Response(201, json={"endpoint_id": "new", "secret": SECRET})

    def admin(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://api.test/api/v1")


async def post(url: str, body: bytes, secret: str) -> int:
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "an-event",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("an-event", now, body.decode()),
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(url, content=body, headers=headers)).status_code


async def test_only_what_is_signed_with_its_secret_is_kept() -> None:
    async with Platform().admin() as admin, receiving(admin) as receiver:
        assert receiver is not None
        refused = await post(receiver.url, b'{"data": {"assessment_id": "two"}}', "whsec_bm90IGl0cyBzZWNyZXQgYXQgYWxs")
        taken = await post(receiver.url, json.dumps(EVENT).encode(), SECRET)

        assert (refused, taken) == (401, 204)
        assert await receiver.event_about("one", within_s=5) == ("an-event", EVENT)
        assert await receiver.event_about("two", within_s=0) is None


async def test_the_endpoint_is_disabled_after_the_demo_and_replaces_that_of_an_earlier_one() -> None:
    platform = Platform({"earlier": f"http://127.0.0.1:9{PATH}", "other": "https://partner.example/hooks"})

    async with platform.admin() as admin, receiving(admin) as receiver:
        assert receiver is not None
        assert platform.endpoints == {"other": "https://partner.example/hooks", "new": receiver.url}

    assert list(platform.endpoints) == ["other", "new"]
    assert platform.enabled == {"new": False}


async def test_a_stack_without_loopback_gets_no_receiver() -> None:
    async with Platform(takes_loopback=False).admin() as admin, receiving(admin) as receiver:
        assert receiver is None
