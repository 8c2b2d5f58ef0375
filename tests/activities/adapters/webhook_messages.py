"""Build messages to partners for tests of the sender."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from activities.adapters.webhooks.sender import WebhookSettings
from domain.webhooks.deliveries import Message
from tests.support.partners import CIPHER, a_secret

BODY = '{"text": "Ünïcode, and a NUL: \\u0000"}'.encode()
SOON = WebhookSettings(allow_loopback=True, deadline_s=1.5, microcred_env="development")


def a_message(url: str, *secrets: str, **changes: Any) -> Message:
    sealed = tuple(CIPHER.encrypt(secret) for secret in secrets or (a_secret(),))
    values: dict[str, Any] = {"event_id": uuid4(), "body": BODY, "sent_at": datetime.now(UTC)} | changes
    return Message(url=url, secrets=sealed, **values)
