"""An organization with an admin, whose endpoints receive only its own events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
from sqlalchemy import insert, select

from persistence.repositories.events import delivery_row
from persistence.tables import AuditLogRow, WebhookDeliveryRow, WebhookEndpointRow, WebhookEventRow
from persistence.tables.base import table_of
from tests.api.conftest import Api, Person
from tests.support.builders import an_organization

URL = "https://partner.example/hooks?tenant=7"
TYPES = ["assessment.completed", "assessment.failed"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Partner:
    api: Api
    id: UUID
    admin: Person

    @classmethod
    async def of(cls, api: Api) -> Self:
        async with api.sessions() as session:
            organization_id = await an_organization(session)
            await session.commit()
        return cls(api, organization_id, await api.person("admin", of=organization_id))

    async def learner(self) -> Person:
        return await self.api.person(of=self.id)

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
        return await self.api.client.request(
            method, f"/api/v1/webhooks{path}", json=body, params=query, headers=self.admin.headers
        )

    async def get(self, path: str, **query: str) -> Json:
        answer = await self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    async def register(self, **fields: Any) -> Json:
        answer = await self.call("POST", "/endpoints", {"url": URL, "event_types": TYPES} | fields)
        assert answer.status_code == 201, answer.text
        body: Json = answer.json()
        return body

    async def change(self, endpoint_id: str, **fields: Any) -> Json:
        answer = await self.call("PATCH", f"/endpoints/{endpoint_id}", fields)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    async def deliveries(self, endpoint_id: str, **query: str) -> list[Json]:
        items: list[Json] = (await self.get("/deliveries", endpoint_id=endpoint_id, **query))["items"]
        return items

    async def events(
        self, endpoint_id: str | None, *statuses: str | None, event_type: str = TYPES[0], minutes_ago: int = 0
    ) -> list[UUID]:
        """Create an event per status, one second apart. None creates an event without a delivery to the endpoint."""
        begin = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        events: list[Json] = [
            {
                "id": uuid4(),
                "organization_id": self.id,
                "event_type": event_type,
                "payload": {},
                "body": b'{"what": "an event"}',
                "status": status or "unsubscribed",
                "created_at": begin + timedelta(seconds=place),
            }
            for place, status in enumerate(statuses)
        ]
        deliveries = [
            delivery_row(self.id, event["id"], UUID(endpoint_id)) | {"status": status}
            for event, status in zip(events, statuses, strict=True)
            if endpoint_id and status
        ]
        async with self.api.sessions() as session:
            await session.execute(insert(WebhookEventRow), events)
            if deliveries:
                await session.execute(insert(WebhookDeliveryRow), deliveries)
            await session.commit()
        return [event["id"] for event in events]

    async def endpoint_row(self, endpoint_id: str) -> Any:
        """Return the stored row, including secrets."""
        columns = table_of(WebhookEndpointRow).c
        async with self.api.sessions() as session:
            return (await session.execute(select(*columns).where(columns.id == UUID(endpoint_id)))).one()

    async def event_status(self, event_id: UUID | str) -> str:
        async with self.api.sessions() as session:
            found = select(WebhookEventRow.status).where(WebhookEventRow.id == event_id)
            return (await session.scalars(found)).one()

    async def audited(self, endpoint_id: str) -> Sequence[Any]:
        """Return (action, actor, details) of each audit row, oldest first."""
        row = table_of(AuditLogRow).c
        async with self.api.sessions() as session:
            found = select(row.action, row.actor_id, row.metadata).where(row.resource_id == UUID(endpoint_id))
            return (await session.execute(found.order_by(row.seq))).all()
