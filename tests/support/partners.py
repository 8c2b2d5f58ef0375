"""Provide partners' webhook endpoints: real servers on the loopback interface, and the database rows for them."""

import asyncio
import base64
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.local.ports import HOST
from domain.webhooks.deliveries import Delivery
from persistence.encryption import DEVELOPMENT_KEY, SecretCipher
from persistence.repositories.events import delivery_row
from persistence.tables import WebhookDeliveryRow, WebhookEndpointRow, WebhookEventRow
from tests.support.builders import an_organization

CIPHER = SecretCipher([DEVELOPMENT_KEY])


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the partner received it, with header names in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes


Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Respond:
    """Respond at once; write headers as keyword arguments, for example `retry_after`."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return respond


def raw(text: bytes) -> Respond:
    """Send exactly these bytes, then close the connection."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        writer.close()

    return respond


async def hanging(writer: asyncio.StreamWriter) -> None:
    """Never respond."""
    await writer.wait_closed()


def dripping(head: bytes = b"", every_s: float = 0.01) -> Respond:
    """Send `head` at once, then one byte at a time."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(head or b"HTTP/1.1 200 OK\r\nX: ")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(every_s)

    return respond


@dataclass
class Partner:
    """A server that responds with `respond` and records the requests."""

    respond: Respond = field(default_factory=answering)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{self._server.sockets[0].getsockname()[1]}/hooks?a=b"

    async def __aenter__(self) -> Self:
        self._open = set[asyncio.StreamWriter]()
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self.tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while not writer.is_closing():
                self.received.append(await _request(reader))
                await self.respond(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Received:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
    return Received(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def a_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


async def an_endpoint(session: AsyncSession, url: str = "https://partner.example/hooks", **columns: Any) -> UUID:
    """Insert an enabled endpoint. Without `organization_id`, insert an organization too."""
    endpoint_id = uuid4()
    values = {
        "organization_id": columns.pop("organization_id", None) or await an_organization(session),
        "url": url,
        "event_types": ["assessment.completed"],
        "secret": CIPHER.encrypt(a_secret()),
    }
    await session.execute(insert(WebhookEndpointRow).values(id=endpoint_id, **(values | columns)))
    return endpoint_id


async def an_event(session: AsyncSession, organization_id: UUID, **columns: Any) -> UUID:
    event_id = uuid4()
    payload = {"type": "assessment.completed", "number": str(event_id)}
    values = {
        "organization_id": organization_id,
        "event_type": "assessment.completed",
        "payload": payload,
        "body": to_json(payload),
        "status": "pending",
    }
    await session.execute(insert(WebhookEventRow).values(id=event_id, **(values | columns)))
    return event_id


async def a_delivery(
    session: AsyncSession,
    endpoint_id: UUID,
    organization_id: UUID,
    *,
    event_id: UUID | None = None,
    n: int = 1,
    **columns: Any,
) -> Delivery:
    """Insert a pending delivery. Without `event_id`, insert an event too."""
    event_id = event_id or await an_event(session, organization_id)
    row = delivery_row(organization_id, event_id, endpoint_id, n)
    values = {"created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    await session.execute(insert(WebhookDeliveryRow).values(**(row | values | columns)))
    return Delivery(**{name: row[name] for name in ("id", "organization_id", "event_id", "endpoint_id", "n")})
