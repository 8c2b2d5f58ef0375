"""The API is killed in the middle of a release of 500 results: the same request, repeated, releases the rest."""

import asyncio
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from api.security.tokens import Principal, Tokens, UserRole
from persistence.database import create_engine
from persistence.tables import WebhookEndpointRow
from persistence.unit_of_work import sessions
from tests.benchmarks.connections import Connection, request_bytes
from tests.faults.apis import Apis
from tests.support.builders import ROLE_ID, a_user, an_organization
from tests.support.databases import Databases, settings_of
from tests.support.deployment import eventually, libpq

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RESULTS = 500
KILLED_AT = (50, 200, 350)
"""The numbers of released results at which the API is killed."""

_AUDITED = "SELECT resource_id::text FROM audit_logs WHERE action = 'assessment.released'"
_HELD = """
WITH students AS (
  INSERT INTO users (id, organization_id, email, role)
  SELECT gen_random_uuid(), :organization, gen_random_uuid() || '@example.org', 'student'
  FROM generate_series(1, :results)
  RETURNING id
), held AS (
  INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, released_revision, expires_at,
    completed_at)
  SELECT gen_random_uuid(), id, :organization, :role, 'completed', 1, 0, now(), now() FROM students
  RETURNING id
), revisions AS (
  INSERT INTO result_revisions (assessment_id, revision, document, held)
  SELECT id, 1, '{"scores": []}', true FROM held
)
SELECT id FROM held"""
_DELIVERED = """
SELECT event.assessment_id::text, event.event_type FROM webhook_deliveries AS delivery
JOIN webhook_events AS event ON event.id = delivery.event_id"""
_SHOWN = """
SELECT assessment_id::text FROM result_revisions AS shown
JOIN audit_logs ON resource_id = assessment_id AND action = 'assessment.released'
WHERE NOT held"""


def test_a_killed_release_is_finished_by_the_same_request(databases: Databases, tmp_path: Path) -> None:
    with databases.new("releases") as url, Apis(tmp_path, url, 1) as apis:
        advisor, held = asyncio.run(_held_results(url))
        request = _request(apis, advisor, held)
        with ThreadPoolExecutor(1) as thread:
            for released in KILLED_AT:
                sent = thread.submit(_send, apis, request)
                eventually(partial(_reached, url, released, sent))
                apis.servers[0].kill()
                with suppress(ConnectionError, OSError):
                    sent.result()
                apis.servers[0].launch()
                apis.wait(0)
        before = _count(url)

        answer = _send(apis, request)

        ids = [str(each) for each in held]
        assert KILLED_AT[-1] <= before < RESULTS
        assert len(answer["released"]) == RESULTS - before
        assert Counter(each["reason"] for each in answer["not_released"]) == {"already_released": before}
        assert _rows(url, _AUDITED) == dict.fromkeys(((each,) for each in ids), 1)
        assert _rows(url, _SHOWN) == dict.fromkeys(((each,) for each in ids), 1)
        types = ("assessment.completed", "assessment.released")
        assert _rows(url, _DELIVERED) == dict.fromkeys(((each, type_) for each in ids for type_ in types), 1)


async def _held_results(url: str) -> tuple[Principal, list[UUID]]:
    """Insert held results of an organization with an endpoint for every event. Return its advisor and their ids."""
    engine = create_engine(settings_of(url))
    async with sessions(engine)() as session:
        organization_id = await an_organization(session)
        advisor = await a_user(session, organization_id, role="advisor")
        await session.execute(
            insert(WebhookEndpointRow).values(
                id=uuid4(),
                organization_id=organization_id,
                url="https://partner.example/hooks",
                event_types=[f"assessment.{each}" for each in ("held", "completed", "updated", "released")],
                secret=b"ciphertext",
            )
        )
        made = {"organization": organization_id, "role": ROLE_ID, "results": RESULTS}
        held = list(await session.scalars(text(_HELD), made))
        await session.commit()
    await engine.dispose()
    principal = Principal(user_id=advisor, role=UserRole.ADVISOR, organization_id=organization_id, version=0)
    return principal, held


def _request(apis: Apis, advisor: Principal, held: list[UUID]) -> bytes:
    tokens = Tokens(SecretStr(apis.environment["JWT_SECRET"]), timedelta(minutes=15))
    body = {"ids": [str(each) for each in held]}
    return request_bytes("POST", "/api/v1/assessments/releases", token=tokens.issue(advisor), body=body)


def _send(apis: Apis, request: bytes) -> Any:
    async def send() -> Any:
        connection = await Connection.open(apis.ports[0])
        try:
            answer = await connection.send(request)
        finally:
            connection.close()
        assert answer.status == 200, answer
        return answer.json()

    return asyncio.run(send())


def _reached(url: str, released: int, sent: Future[Any]) -> bool:
    """Tell whether so many results are released. An error of the request is raised."""
    if sent.done():
        raise AssertionError(f"the request ended before the kill: {sent.result()}")
    return _count(url) >= released


def _count(url: str) -> int:
    return _rows(url, _AUDITED).total()


def _rows(url: str, query: str) -> Counter[Any]:
    with psycopg.connect(libpq(url)) as connection:
        return Counter(connection.execute(query.encode()).fetchall())
