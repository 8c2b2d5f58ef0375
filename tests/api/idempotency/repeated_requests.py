"""Send requests again with the same Idempotency-Key, and count their effects."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from persistence.tables import FeedbackRow
from tests.api.conftest import Api, Person

REPLAYED = "Idempotent-Replayed"


@dataclass
class Request:
    """A request that can be repeated."""

    api: Api
    person: Person
    path: str
    body: Any = None
    key: str = field(default_factory=lambda: f'"{uuid4()}"')

    async def send(self, **headers: str) -> httpx.Response:
        return await self.api.client.post(
            f"/api/v1{self.path}", json=self.body, headers=self.person.headers | {"Idempotency-Key": self.key} | headers
        )

    async def send_twice(self) -> httpx.Response:
        """Send the request twice, check that both responses are equal, and return the first."""
        first, second = await self.send(), await self.send()
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert (first.headers.get(REPLAYED), second.headers.get(REPLAYED)) == (None, "true")
        return first


async def given(api: Api, request: Request) -> int:
    return await count(api, FeedbackRow, FeedbackRow.recommendation_id == request.path.split("/")[2])


async def count(api: Api, row: Any, condition: Any) -> int:
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).select_from(row).where(condition)) or 0
