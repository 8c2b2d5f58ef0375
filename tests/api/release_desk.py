"""An organization with a release policy, a student, an advisor, and a partner with an API key and an endpoint."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

import httpx
from sqlalchemy import select

from domain.assessments.results import Publication
from persistence.tables import WebhookDeliveryRow, WebhookEventRow
from tests.api.conftest import Api, Person
from tests.api.partner import Json, Partner

EVERY_TYPE = [f"assessment.{name}" for name in ("completed", "failed", "updated", "held", "released")]


@dataclass(frozen=True)
class Desk:
    """`partner` sends its requests with an API key."""

    api: Api
    student: Person
    advisor: Person
    admin: Person
    partner: Person

    @classmethod
    async def of(cls, api: Api, policy: str) -> Self:
        owner = await Partner.of(api)
        await owner.register(event_types=EVERY_TYPE)
        body = {"name": "a partner", "scopes": ["results:read", "webhooks:manage"]}
        key = await api.client.post("/api/v1/api-keys", json=body, headers=owner.admin.headers)
        partner = replace(owner.admin, headers={"Authorization": f"Bearer {key.json()['key']}"})
        desk = cls(api, await owner.learner(), await api.person("advisor", of=owner.id), owner.admin, partner)
        await desk.set_policy(policy)
        return desk

    async def set_policy(self, policy: str) -> None:
        changed = await self.api.client.patch(
            "/api/v1/organization/settings", json={"release": policy}, headers=self.admin.headers
        )
        assert changed.status_code == 200, changed.text

    async def completed(self, *, doubtful: bool = False, **essay: Any) -> Publication:
        return await self.api.completed(self.student, needs_review=doubtful, **essay)

    async def read(self, person: Person, publication: Publication, what: str = "") -> httpx.Response:
        return await self.api.get(person, f"/assessments/{publication.assessment_id}{what}")

    async def release(self, publication: Publication, **headers: str) -> httpx.Response:
        path = f"/api/v1/assessments/{publication.assessment_id}/release"
        return await self.api.client.post(path, headers=self.advisor.headers | headers)

    async def release_many(self, key: str = "", **body: Any) -> Json:
        headers = self.advisor.headers | ({"Idempotency-Key": key} if key else {})
        answer = await self.api.client.post("/api/v1/assessments/releases", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        released: Json = answer.json()
        return released

    async def events(self, publication: Publication) -> list[Json]:
        """Return the payloads of the assessment's events that were sent to the partner, in their order."""
        sent = (
            select(WebhookEventRow.payload)
            .join(WebhookDeliveryRow, WebhookDeliveryRow.event_id == WebhookEventRow.id)
            .where(WebhookEventRow.assessment_id == UUID(str(publication.assessment_id)))
            .order_by(WebhookEventRow.created_at, WebhookEventRow.event_type)
        )
        async with self.api.sessions() as session:
            return list(await session.scalars(sent))

    async def event_types(self, publication: Publication) -> list[str]:
        return [event["type"].removeprefix("assessment.") for event in await self.events(publication)]


def strings_in(value: Any) -> Iterator[str]:
    """Return the keys and the texts of a JSON value."""
    match value:
        case dict():
            for key, each in value.items():
                yield key
                yield from strings_in(each)
        case list():
            for each in value:
                yield from strings_in(each)
        case str():
            yield value
