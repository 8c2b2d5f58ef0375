"""Open, answer and read appeals over HTTP, and read what is stored about them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from persistence.tables import AuditLogRow, WebhookEventRow
from tests.api.conftest import Api, Person, essay_of, levels_of, question_of

REASON = "My second paragraph names the check that the grade says is missing."
REJECTION = {"outcome": "rejected", "message": "The paragraph names no check."}


async def completed_of(api: Api, learner: Person) -> dict[str, Any]:
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.publish(started["assessment_id"])
    return started


async def post(api: Api, person: Person, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await api.client.post(f"/api/v1{path}", json=body, headers=person.headers | headers)


async def appeal(api: Api, person: Person, started: dict[str, Any], place: int = 0, **body: Any) -> httpx.Response:
    """Appeal the essay at this place."""
    wanted = {"question_id": essay_of(started, place), "reason": REASON} | body
    return await post(api, person, f"/assessments/{started['assessment_id']}/appeals", wanted)


async def opened(api: Api, person: Person, started: dict[str, Any], place: int = 0) -> dict[str, Any]:
    answer = await appeal(api, person, started, place)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def answered(api: Api, person: Person, appeal_id: str, body: Any, **headers: str) -> httpx.Response:
    return await post(api, person, f"/appeals/{appeal_id}/answer", body, **headers)


def upheld(started: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"outcome": "upheld", "levels": levels_of(question_of(started, "text"), -1), **more}


async def read(api: Api, person: Person, appeal_id: str) -> dict[str, Any]:
    document: dict[str, Any] = (await api.get(person, f"/appeals/{appeal_id}")).json()
    return document


async def acts(api: Api, appeal_id: str) -> list[tuple[str, UUID | None]]:
    async with api.sessions() as session:
        rows = select(AuditLogRow).where(AuditLogRow.resource_id == UUID(appeal_id)).order_by(AuditLogRow.seq)
        return [(row.action, row.actor_id) for row in await session.scalars(rows)]


async def events(api: Api, started: dict[str, Any]) -> Sequence[WebhookEventRow]:
    async with api.sessions() as session:
        found = select(WebhookEventRow).where(
            WebhookEventRow.assessment_id == UUID(started["assessment_id"]),
            WebhookEventRow.event_type.like("appeal.%"),
        )
        return (await session.scalars(found.order_by(WebhookEventRow.created_at))).all()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]
