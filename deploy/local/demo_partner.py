"""The demo's partner: a receiver on loopback that stores events with a valid signature."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from deploy.local.ports import HOST

PATH: Final = "/microcred-demo"
TYPES: Final = ["assessment.completed", "assessment.updated", "assessment.failed"]

Json = dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """A receiver that answers 204 to a valid signature and 401 otherwise. `events` maps `webhook-id` to the event."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.events: dict[str, Json] = {}
        self.secret = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}{PATH}"

    def take(self, headers: dict[str, str], body: bytes) -> HTTPStatus:
        try:
            Webhook(self.secret).verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):
            return HTTPStatus.UNAUTHORIZED
        self.events[headers["webhook-id"]] = json.loads(body)
        return HTTPStatus.NO_CONTENT

    async def event_about(self, assessment_id: str, within_s: float) -> tuple[str, Json] | None:
        """Wait for an event about the assessment. Return its id and the event, or None after the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    for event_id, event in list(self.events.items()):
                        if event["data"].get("assessment_id") == assessment_id:
                            return event_id, event
                    await asyncio.sleep(0.1)
        return None


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)  # noqa: S101  # it creates the handler
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.take({name.lower(): value for name, value in self.headers.items()}, body))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Suppress the log, because the demo prints the event."""


@asynccontextmanager
async def receiving(admin: httpx.AsyncClient) -> AsyncIterator[Receiver | None]:
    """Yield a registered receiver and disable its endpoint afterwards. Yield None if the stack refuses loopback.

    The disabled endpoint and its deliveries remain visible to the admin until the next demo.
    """
    await _remove_earlier(admin)
    receiver = Receiver()
    try:
        answer = await admin.post("/webhooks/endpoints", json={"url": receiver.url, "event_types": TYPES})
        if answer.is_error:
            yield None
            return
        receiver.secret = answer.json()["secret"]
        try:
            yield receiver
        finally:
            with suppress(httpx.HTTPError):
                await admin.patch(f"/webhooks/endpoints/{answer.json()['endpoint_id']}", json={"enabled": False})
    finally:
        receiver.shutdown()
        receiver.server_close()


async def _remove_earlier(admin: httpx.AsyncClient) -> None:
    """Deregister the receivers of earlier demos."""
    found = (await admin.get("/webhooks/endpoints")).raise_for_status().json()["items"]
    for endpoint in found:
        if httpx.URL(endpoint["url"]).path == PATH:
            await admin.delete(f"/webhooks/endpoints/{endpoint['endpoint_id']}")
