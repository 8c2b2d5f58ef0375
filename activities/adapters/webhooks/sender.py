"""Send webhooks to partners according to the Standard Webhooks specification."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final, Literal, Self

import httpcore
import httpx
from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from standardwebhooks import Webhook

from activities.adapters.webhooks.public_network import ForbiddenAddress, PublicNetwork
from domain.errors import InvalidInput
from domain.webhooks.deliveries import (
    AttemptOutcome,
    Message,
    WebhookResponse,
    WebhookUrl,
    check_url,
    outcome_of,
    retry_after_s,
)

KEPT_BYTES: Final = 1024
READ_BYTES: Final = 16 * 1024
"""A body up to this size is read whole, so that its connection can be reused; a longer one closes the connection."""
IDLE_S: Final = 2.0
"""Shorter than the idle timeout of servers, so that a request does not use a connection that the server is closing."""
IDLE_CONNECTIONS: Final = 64

Unseal = Callable[[bytes], str]


class WebhookSettings(BaseSettings):
    """`WEBHOOK_…`: the time limit of one request, and in development http and any port on loopback addresses.

    `WEBHOOK_OWN_HOSTS` are the host names of this service, comma-separated; an endpoint must not use one of them.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="WEBHOOK_", extra="ignore", env_ignore_empty=True)

    allow_loopback: bool = False
    deadline_s: float = Field(default=15.0, gt=0, le=20)
    own_hosts: str = ""
    microcred_env: Literal["development", "staging", "production"] = Field(
        default="production", validation_alias="microcred_env"
    )
    """MICROCRED_ENV, without this class's prefix."""

    @model_validator(mode="after")
    def _refuse_loopback(self) -> Self:
        if self.allow_loopback and self.microcred_env != "development":
            raise ValueError("WEBHOOK_ALLOW_LOOPBACK is for development only: it lets partners reach loopback services")
        return self

    @property
    def own(self) -> frozenset[str]:
        return frozenset(host.strip().lower().rstrip(".") for host in self.own_hosts.split(",")) - {""}


@dataclass(slots=True)
class _Reply:
    """The part of a response received so far: nothing, the head, or the head and the beginning of the body."""

    code: int | None = None
    retry_after: str | None = None
    body: bytearray = field(default_factory=bytearray)


class HttpWebhookSender:
    """A WebhookSender over HTTP/1.1. `unseal` decrypts a stored secret.

    It uses no redirects, proxies or cookies and verifies certificates. The pool has no limit, so that a partner's open
    connections cannot delay requests to another partner.
    """

    def __init__(self, settings: WebhookSettings, unseal: Unseal, network: PublicNetwork | None = None) -> None:
        self._settings = settings
        self._unseal = unseal
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=None,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_S,
            network_backend=network or PublicNetwork(loopback=settings.allow_loopback),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def send(self, message: Message) -> WebhookResponse:
        """Send the message. The status decides the outcome, even when the body is late, broken or endless."""
        headers = _headers(message, [self._unseal(secret) for secret in message.secrets])
        started = time.monotonic()
        reply = _Reply()
        failure = AttemptOutcome.UNREACHABLE
        try:
            url = check_url(message.url, loopback=self._settings.allow_loopback, own_hosts=self._settings.own)
            async with asyncio.timeout(self._settings.deadline_s):
                await self._post(url, headers, message.body, reply)
        except (InvalidInput, ForbiddenAddress):
            failure = AttemptOutcome.FORBIDDEN
        except (TimeoutError, httpcore.TimeoutException):
            failure = AttemptOutcome.TIMED_OUT
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            failure = AttemptOutcome.UNREACHABLE
        if reply.code is None:
            return WebhookResponse(outcome=failure, latency_ms=_since_ms(started))
        return WebhookResponse(
            outcome=outcome_of(reply.code),
            latency_ms=_since_ms(started),
            code=reply.code,
            retry_after_s=retry_after_s(reply.retry_after, message.sent_at),
            excerpt=excerpt(reply.body),
        )

    async def _post(self, url: WebhookUrl, headers: dict[str, str], body: bytes, reply: _Reply) -> None:
        """Fill `reply` while the response arrives, so that it contains the status even when the body fails."""
        target = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
        async with self._pool.stream(
            "POST", target, headers=[("host", url.authority), *headers.items()], content=body
        ) as response:
            reply.code = response.status
            asked = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
            reply.retry_after = None if asked is None else asked.decode("latin-1")
            async for part in response.aiter_stream():
                reply.body += part
                if len(reply.body) > READ_BYTES:
                    break


def _headers(message: Message, secrets: list[str]) -> dict[str, str]:
    """Return the headers with the signatures. `sign` requires the time in UTC."""
    at, body = message.sent_at.astimezone(UTC), message.body.decode()
    return {
        "content-type": "application/json",
        "user-agent": "microcred-webhooks",
        "webhook-id": str(message.event_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(str(message.event_id), at, body) for secret in secrets),
    }


def excerpt(body: bytes | bytearray) -> str:
    """Return the first 1 KiB as text for PostgreSQL: invalid UTF-8 is replaced, NUL characters are removed."""
    return body[:KEPT_BYTES].decode(errors="replace").replace("\x00", "")


def _since_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
