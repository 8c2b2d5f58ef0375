"""Publish doubtful essays, and list, claim and decide them over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import update

from persistence.tables import OrganizationRow, ReviewItemRow
from tests.api.conftest import Api, Person, question_of
from tests.api.test_reviews import ratings_of

UNSURE: dict[str, Any] = {"needs_review": True, "model": "gpt-1", "flags": ()}
FLAGGED: dict[str, Any] = {"needs_review": True, "flags": ("unrelated",)}


async def set_settings(api: Api, organization_id: UUID, **settings: Any) -> None:
    async with api.sessions() as session:
        theirs = update(OrganizationRow).where(OrganizationRow.id == organization_id)
        await session.execute(theirs.values(settings=settings))
        await session.commit()


async def waiting(api: Api, organization: UUID, **essay: Any) -> dict[str, Any]:
    """Publish a result whose two essays have this score; return what the student had started."""
    learner = await api.person(of=organization)
    started = await api.start(learner)
    await api.submit(learner, started)
    ratings = ratings_of(question_of(started, "text"))
    await api.publish(started["assessment_id"], **({"ratings": ratings} | (essay or FLAGGED)))
    return started | {"learner": learner}


async def queue(api: Api, person: Person, **query: str) -> dict[str, Any]:
    answer = await api.get(person, "/reviews/queue", **query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def post(api: Api, person: Person, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await api.client.post(f"/api/v1/reviews/{path}", json=body, headers=person.headers | headers)


async def claim(api: Api, person: Person, **body: str) -> dict[str, Any]:
    answer = await post(api, person, "claims", body)
    assert answer.status_code == 201, answer.text
    claimed: dict[str, Any] = answer.json()
    return claimed


async def claim_first(api: Api, person: Person, started: dict[str, Any]) -> str:
    """Claim the assessment's first essay, whose levels can be confirmed; return the claim's id."""
    essay = {"assessment_id": started["assessment_id"], "question_id": question_of(started, "text")["question_id"]}
    claim_id: str = (await claim(api, person, **essay))["claim_id"]
    return claim_id


async def decide(api: Api, person: Person, claim_id: str, revision: int = 1, **body: Any) -> httpx.Response:
    return await post(api, person, f"claims/{claim_id}/decision", (body or {"confirm": True}) | {"revision": revision})


async def change(api: Api, item_id: str, **columns: Any) -> None:
    async with api.sessions() as session:
        await session.execute(
            update(ReviewItemRow).where(ReviewItemRow.question_snapshot_id == UUID(item_id)).values(**columns)
        )
        await session.commit()


async def expire(api: Api, item_id: str) -> None:
    await change(api, item_id, claimed_until=datetime.now(UTC) - timedelta(seconds=1))
