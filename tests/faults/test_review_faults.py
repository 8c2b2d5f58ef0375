"""Two API processes are killed while advisors claim and decide essays: each essay is decided exactly once."""

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from api.idempotency import HEADER
from api.security.tokens import Principal, Tokens, UserRole
from domain.assessments.questions import EssayRubric
from persistence.database import create_engine
from persistence.request_database import RequestUnitOfWork
from persistence.unit_of_work import sessions
from tests.benchmarks.connections import Answer, Connection, request_bytes
from tests.faults.apis import Apis
from tests.support.builders import a_result, a_user, an_assessment, an_organization
from tests.support.databases import Databases, settings_of
from tests.support.deployment import libpq

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ASSESSMENTS = 40
ADVISORS = 4
KILLS = 6
ANSWER_WITHIN_S = 120
BETWEEN_RETRIES_S = 0.05
STORM = 7341
"""The seed of the moments and the victims."""


@dataclass(slots=True)
class Desk:
    """The advisors' work: their tokens, the levels by question, and the acknowledged decisions by essay."""

    apis: Apis
    tokens: list[str]
    levels: dict[str, dict[str, str]]
    decided: Counter[str] = field(default_factory=Counter)
    broken: int = 0

    def work(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        await asyncio.gather(*(self._advisor(number) for number in range(len(self.tokens))))

    async def _advisor(self, number: int) -> None:
        """Claim and decide until no essay waits. Each request is repeated with its key until it is acknowledged."""
        choice = random.Random(STORM + number)
        while (claimed := await self._send(number, choice, "claims", {})).status == 201:
            claim = claimed.json()
            body = {"levels": self.levels[claim["item"]["question_id"]], "revision": claim["item"]["revision"]}
            answer = await self._send(number, choice, f"claims/{claim['claim_id']}/decision", body)
            assert answer.status == 202, answer
            self.decided[claim["claim_id"]] += 1
        assert claimed.status == 404, claimed

    async def _send(self, number: int, choice: random.Random, path: str, body: dict[str, Any]) -> Answer:
        headers = {HEADER: str(uuid4())}
        request = request_bytes(
            "POST", f"/api/v1/reviews/{path}", token=self.tokens[number], body=body, headers=headers
        )
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                answer = await self._tried(choice.choice(self.apis.ports), request)
                if answer is not None and "retry-after" not in answer.headers:
                    return answer
                await asyncio.sleep(BETWEEN_RETRIES_S)

    async def _tried(self, port: int, request: bytes) -> Answer | None:
        try:
            connection = await Connection.open(port)
        except OSError:
            return None
        try:
            return await connection.send(request)
        except ConnectionError:
            self.broken += 1
            return None
        finally:
            connection.close()


def test_each_essay_is_decided_once_despite_kills(seeded_template: tuple[Databases, str], tmp_path: Path) -> None:
    databases, name = seeded_template
    with databases.new("desk", name) as url, Apis(tmp_path, url, 2) as apis:
        organization_id, advisors, levels = asyncio.run(_waiting_essays(url))
        desk = Desk(apis, [_token(apis, organization_id, each) for each in advisors], levels)
        with ThreadPoolExecutor(1) as thread:
            working = thread.submit(desk.work)
            _strike(apis, working.done)
            working.result()

        essays = [row[0] for row in _rows(url, _ITEMS)]
        assert len(essays) == 2 * ASSESSMENTS
        assert desk.decided == dict.fromkeys(essays, 1)
        assert Counter(row[0] for row in _rows(url, _REVIEWS)) == dict.fromkeys(essays, 1)
        assert _rows(url, _LEFT) == []
        assert desk.broken > 0


def _strike(apis: Apis, done: Any) -> None:
    """Kill and restart the processes, on the thread that started them: on Linux they die with it."""
    moments = random.Random(STORM)
    for _ in range(KILLS):
        victim = moments.randrange(len(apis.servers))
        apis.wait(victim)
        Event().wait(moments.uniform(0.0, 0.5))
        if done():
            return
        apis.servers[victim].kill()
        apis.servers[victim].launch()
    for place in range(len(apis.servers)):
        apis.wait(place)


async def _waiting_essays(url: str) -> tuple[UUID, list[UUID], dict[str, dict[str, str]]]:
    """Publish doubtful results. Return the organization, its advisors and the levels to set by question."""
    engine = create_engine(settings_of(url))
    made = sessions(engine)
    now = datetime.now(UTC)
    levels: dict[str, dict[str, str]] = {}
    async with made() as session:
        organization_id = await an_organization(session)
        advisors = [await a_user(session, organization_id, role="advisor") for _ in range(ADVISORS)]
        assessments = [
            await an_assessment(
                session,
                user_id=await a_user(session, organization_id),
                status="awaiting_async",
                submitted_at=now,
            )
            for _ in range(ASSESSMENTS)
        ]
        await session.commit()
    for assessment in assessments:
        async with RequestUnitOfWork(made) as uow:
            locked, moment = await uow.assessments.lock(assessment.id)
            items = await uow.assessments.items(assessment.id)
            await uow.results.publish(locked, moment, a_result(items, (), needs_review=True))
            await uow.commit()
        for item in items:
            if isinstance(item.question.rubric, EssayRubric):
                criteria = item.question.rubric.criteria
                levels[str(item.question.id)] = {each.key: each.levels[0].name for each in criteria}
    await engine.dispose()
    return organization_id, advisors, levels


def _token(apis: Apis, organization_id: UUID, user_id: UUID) -> str:
    tokens = Tokens(SecretStr(apis.environment["JWT_SECRET"]), timedelta(minutes=15))
    return tokens.issue(Principal(user_id=user_id, role=UserRole.ADVISOR, organization_id=organization_id, version=0))


_ITEMS = "SELECT question_snapshot_id::text FROM review_items"
_REVIEWS = "SELECT question_snapshot_id::text FROM essay_reviews"
_LEFT = "SELECT question_snapshot_id::text FROM review_items WHERE waiting OR claimed_by IS NOT NULL"


def _rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(libpq(url)) as connection:
        return connection.execute(query.encode()).fetchall()
