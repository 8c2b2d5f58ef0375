"""The number of SQL statements per request, which shows loops over rows."""

from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.conftest import Api, Person, levels_of, question_of, response_to
from tests.api.partner import Partner
from tests.support.statements import Statements, recorded


@pytest.fixture
def statements(api_engine: AsyncEngine) -> Iterator[Statements]:
    with recorded(api_engine) as sent:
        yield sent


async def test_starting(api: Api, learner: Person, statements: Statements) -> None:
    await api.start(await api.person())  # the role's questions are decoded once per process
    await api.get(learner, "/me")
    statements.clear()
    await api.start(learner)
    assert len(statements) <= 3


async def test_submitting_all_answers(api: Api, learner: Person, statements: Statements) -> None:
    started = await api.start(learner)
    statements.clear()
    await api.submit(learner, started)
    assert len(statements) <= 5


async def test_answering_one(api: Api, learner: Person, statements: Statements) -> None:
    started = await api.start(learner)
    statements.clear()
    await api.send(learner, started["assessment_id"], response_to(started["questions"][0]))
    assert len(statements) <= 2


async def test_reviewing(api: Api, learner: Person, statements: Statements) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.publish(started["assessment_id"])
    advisor = await api.person("advisor")
    await api.get(advisor, "/me")
    essay = question_of(started, "text")
    statements.clear()
    await api.client.post(
        f"/api/v1/assessments/{started['assessment_id']}/items/{essay['question_id']}/review",
        json={"levels": levels_of(essay)},
        headers=advisor.headers,
    )
    assert len(statements) <= 6


async def test_reading(api: Api, learner: Person, statements: Statements) -> None:
    publication = await api.completed(learner)
    counted = {}
    for what in ("", "/result", "/scores", "/revisions", "/questions", "/items"):
        statements.clear()
        await api.get(learner, f"/assessments/{publication.assessment_id}{what}")
        counted[what] = len(statements)
    assert counted == {"": 1, "/result": 1, "/scores": 1, "/revisions": 1, "/questions": 2, "/items": 2}


async def test_recovering_an_endpoint(api: Api, statements: Statements) -> None:
    partner = await Partner.of(api)
    endpoint_id = (await partner.register())["endpoint_id"]
    await partner.events(endpoint_id, *["dead_letter"] * 20)
    statements.clear()
    await partner.call("POST", f"/endpoints/{endpoint_id}/recover", {"since": "2020-01-01T00:00:00Z"})
    assert len(statements) <= 4


async def test_listing_the_review_queue(api: Api, learner: Person, statements: Statements) -> None:
    advisor = await _advisor_of_a_waiting_essay(api, learner)
    statements.clear()
    response = await api.get(advisor, "/reviews/queue")
    assert response.json()["waiting"] >= 1
    assert len(statements) == 1


async def test_claiming_the_next_essay(api: Api, learner: Person, statements: Statements) -> None:
    advisor = await _advisor_of_a_waiting_essay(api, learner)
    statements.clear()
    response = await api.client.post("/api/v1/reviews/claims", json={}, headers=advisor.headers)
    assert response.status_code == 201
    assert len(statements) == 2


async def _advisor_of_a_waiting_essay(api: Api, learner: Person) -> Person:
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.publish(started["assessment_id"], needs_review=True, flags=("unrelated",))
    advisor = await api.person("advisor")
    await api.get(advisor, "/me")
    return advisor
