"""How many statements a request costs: a loop over rows would show here."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.conftest import Api, Person, response_to


@pytest.fixture
def statements(api_engine: AsyncEngine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(api_engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(api_engine.sync_engine, "before_cursor_execute", note)


async def test_starting(api: Api, learner: Person, statements: list[str]) -> None:
    await api.start(await api.person())  # the role's questions are decoded once a process
    await api.get(learner, "/me")
    statements.clear()
    await api.start(learner)
    assert len(statements) <= 6


async def test_answering_everything_and_handing_in(api: Api, learner: Person, statements: list[str]) -> None:
    started = await api.start(learner)
    statements.clear()
    await api.submit(learner, started)
    assert len(statements) <= 6


async def test_answering_one(api: Api, learner: Person, statements: list[str]) -> None:
    started = await api.start(learner)
    statements.clear()
    await api.send(learner, started["assessment_id"], response_to(started["questions"][0]))
    assert len(statements) <= 4


async def test_reading(api: Api, learner: Person, statements: list[str]) -> None:
    publication = await api.completed(learner)
    counted = {}
    for what in ("", "/result", "/scores", "/revisions", "/questions"):
        statements.clear()
        await api.get(learner, f"/assessments/{publication.assessment_id}{what}")
        counted[what] = len(statements)
    assert counted == {"": 1, "/result": 1, "/scores": 1, "/revisions": 1, "/questions": 2}
