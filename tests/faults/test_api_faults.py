"""Two API processes are killed repeatedly under load: every acknowledged request is stored once and can be replayed."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from api.idempotency import HEADER, REPLAYED
from api.security.tokens import Principal, Tokens, UserRole
from persistence.database import create_engine
from persistence.request_database import RequestUnitOfWork
from persistence.unit_of_work import sessions
from tests.benchmarks import workload
from tests.benchmarks.connections import Answer, Connection, request_bytes
from tests.benchmarks.workload import Student
from tests.faults.apis import Apis
from tests.support.answers import response_to
from tests.support.builders import ROLE_ID, a_result, an_assessment, some_credentials
from tests.support.databases import Databases, settings_of
from tests.support.deployment import libpq
from tests.support.student_client import ESSAY

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

KILLS = 20
CLIENTS = 8
ANSWER_WITHIN_S = 60
BETWEEN_RETRIES_S = 0.03
STORM = 7319
"""The seed of the moments and the victims."""


@dataclass(slots=True)
class Ledger:
    """The responses by idempotency key; `broken` counts requests without a response because of a kill."""

    answers: dict[str, Answer] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)
    attempts: dict[str, tuple[UUID, int]] = field(default_factory=dict)
    differing: list[tuple[str, Answer]] = field(default_factory=list)
    replayed: int = 0
    broken: int = 0


@dataclass(slots=True)
class Client:
    """A client that sends each request with a key until it is acknowledged, and repeats half of the requests."""

    ports: list[int]
    ledger: Ledger
    token: str
    random: random.Random

    async def send(self, path: str, body: object) -> Answer:
        key = str(uuid4())
        request = request_bytes("POST", f"/api/v1{path}", token=self.token, body=body, headers={HEADER: key})
        answer = await self._acknowledged(request)
        assert answer.status in {201, 202}, answer
        self.ledger.answers[key] = answer
        if self.random.random() < 0.5:
            again = await self._acknowledged(request)
            self.ledger.replayed += again.headers.get(REPLAYED.lower()) == "true"
            if (again.status, again.body) != (answer.status, answer.body):
                self.ledger.differing.append((key, again))
        return answer

    async def _acknowledged(self, request: bytes) -> Answer:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                answer = await self._tried(request)
                if answer is not None and "retry-after" not in answer.headers:
                    return answer
                await asyncio.sleep(BETWEEN_RETRIES_S)

    async def _tried(self, request: bytes) -> Answer | None:
        try:
            connection = await Connection.open(self.random.choice(self.ports))
        except OSError:
            return None
        try:
            return await connection.send(request)
        except ConnectionError:
            self.ledger.broken += 1
            return None
        finally:
            connection.close()


@dataclass(slots=True)
class Storm:
    """Clients that work until `over` is set. Each one alternates between feedback and an assessment."""

    apis: Apis
    database_url: str
    ledger: Ledger = field(default_factory=Ledger)
    over: Event = field(default_factory=Event)

    def work(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        critics = await _with_results(self.database_url, workload.add_students(self.database_url, CLIENTS))
        await asyncio.gather(*(self._turns(number, *critic) for number, critic in enumerate(critics)))

    async def _turns(self, number: int, critic: Student, recommendation_id: UUID) -> None:
        choice = random.Random(STORM + number)
        speak = self._client(critic, choice).send
        while not self.over.is_set():
            comment = str(uuid4())
            await speak(f"/recommendations/{recommendation_id}/feedback", {"relevance_score": 4, "comments": comment})
            self.ledger.feedback.append(comment)
            (learner,) = await asyncio.to_thread(workload.add_students, self.database_url, 1)
            await self._take(learner, self._client(learner, choice).send)

    async def _take(self, learner: Student, send: Callable[[str, object], Awaitable[Answer]]) -> None:
        started = (await send("/assessments/start", {"role_id": str(ROLE_ID)})).json()
        responses: list[dict[str, Any]] = [response_to(question, ESSAY) for question in started["questions"]]
        path = f"/assessments/{started['assessment_id']}/responses"
        await send(path, {"responses": responses[:-1]})
        await send(path, {"responses": responses[-1:], "completed": True})
        self.ledger.attempts[started["assessment_id"]] = learner.id, len(responses)

    def _client(self, student: Student, choice: random.Random) -> Client:
        tokens = Tokens(SecretStr(self.apis.environment["JWT_SECRET"]), timedelta(minutes=15))
        principal = Principal(
            user_id=student.id, role=UserRole.STUDENT, organization_id=student.organization_id, version=0
        )
        return Client(self.apis.ports, self.ledger, tokens.issue(principal), choice)


def test_acknowledged_requests_are_stored_once_despite_kills(
    seeded_template: tuple[Databases, str], tmp_path: Path
) -> None:
    databases, name = seeded_template
    with databases.new("storm", name) as url, Apis(tmp_path, url, 2) as apis:
        storm = Storm(apis, url)
        with ThreadPoolExecutor(1) as thread:
            working = thread.submit(storm.work)
            try:
                _strike(apis)
            finally:
                storm.over.set()
            working.result()
        ledger = storm.ledger
        assert ledger.differing == []
        assert _kept_answers(url) == {key: (answer.status, answer.body) for key, answer in ledger.answers.items()}
        assert _count(url, _FEEDBACK) == dict.fromkeys(ledger.feedback, 1)
        assert _count(url, _ATTEMPTS) == dict.fromkeys(
            ((str(learner), id_, "awaiting_async", items) for id_, (learner, items) in ledger.attempts.items()), 1
        )
        assert _count(url, _TRANSITIONS) == dict.fromkeys(
            ((id_, action) for id_ in ledger.attempts for action in ("assessment.started", "assessment.submitted")), 1
        )
        assert ledger.broken > 0
        assert ledger.replayed > 0


def _strike(apis: Apis) -> None:
    """Kill and restart the processes, on the thread that started them: on Linux they die with it."""
    moments = random.Random(STORM)
    for _ in range(KILLS):
        victim = moments.randrange(len(apis.servers))
        apis.wait(victim)
        Event().wait(moments.uniform(0.0, 0.5))
        apis.servers[victim].kill()
        apis.servers[victim].launch()
    for place in range(len(apis.servers)):
        apis.wait(place)


async def _with_results(url: str, students: list[Student]) -> list[tuple[Student, UUID]]:
    """Complete an assessment per student and return the ids of the recommendations."""
    engine = create_engine(settings_of(url))
    made = sessions(engine)
    async with made() as session:
        credentials = await some_credentials(session)
        assessments = [await an_assessment(session, user_id=each.id, status="awaiting_async") for each in students]
        await session.commit()
    published: list[UUID] = []
    for assessment in assessments:
        async with RequestUnitOfWork(made) as uow:
            locked, now = await uow.assessments.lock(assessment.id)
            items = await uow.assessments.items(assessment.id)
            publication = await uow.results.publish(locked, now, a_result(items, credentials))
            await uow.commit()
        published.append(publication.recommendation_id)
    await engine.dispose()
    return list(zip(students, published, strict=True))


_FEEDBACK = "SELECT comments FROM recommendation_feedback"
_ATTEMPTS = """
    SELECT user_id::text, id::text, status,
      (SELECT count(*) FROM assessment_responses WHERE assessment_id = assessments.id)
    FROM assessments WHERE status <> 'completed'"""
_TRANSITIONS = """
    SELECT resource_id::text, action FROM audit_logs JOIN assessments ON assessments.id = resource_id
    WHERE action IN ('assessment.started', 'assessment.submitted') AND status <> 'completed'"""


def _count(url: str, query: str) -> Counter[Any]:
    with psycopg.connect(libpq(url)) as connection:
        rows = connection.execute(query.encode()).fetchall()
    return Counter(row[0] if len(row) == 1 else tuple(row) for row in rows)


def _kept_answers(url: str) -> dict[str, tuple[int, bytes]]:
    with psycopg.connect(libpq(url)) as connection:
        query = "SELECT key, response_status, response_body FROM idempotency_keys"
        return {key: (status, bytes(body)) for key, status, body in connection.execute(query)}
