"""Everything that is held about a person, in one document."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import Erased, NotFound
from domain.ports import UnitOfWorkFactory
from persistence.engine import create_engine
from persistence.export import HELD, Exports
from persistence.people_views import PeopleViewer
from persistence.tables import AuditLogRow
from persistence.unit_of_work import sessions, unit_of_work_factory
from persistence.views import Actor
from tests.builders import some_credentials
from tests.databases import settings_of
from tests.persistence.people import Marked, a_marked_person

MARKER, OTHER = "marker-of-the-exported-3316", "marker-of-somebody-else-2207"


@pytest.fixture
async def engine_of_two(clean_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(clean_database))
    yield engine
    await engine.dispose()


@pytest.fixture
async def people(engine_of_two: AsyncEngine) -> list[Marked]:
    """Somebody, and somebody else of another organization."""
    units = unit_of_work_factory(engine_of_two)
    async with sessions(engine_of_two)() as session:
        credentials = await some_credentials(session)
        await session.commit()
    return [await _committed(engine_of_two, units, credentials, marker) for marker in (MARKER, OTHER)]


async def _committed(engine: AsyncEngine, units: UnitOfWorkFactory, credentials: list[UUID], marker: str) -> Marked:
    async with sessions(engine)() as session:
        person = await a_marked_person(session, units, credentials, marker)
        await session.commit()
    return person


async def exported(engine: AsyncEngine, person: Marked) -> dict[str, Any]:
    document = b"".join([piece async for piece in Exports(engine).document(person.id)])
    found: dict[str, Any] = json.loads(document)
    return found


async def test_every_table_has_its_rows_in_it(engine_of_two: AsyncEngine, people: list[Marked]) -> None:
    document = await exported(engine_of_two, people[0])

    assert document.keys() == {"user_id", *(row.__tablename__ for row in HELD)}
    assert [name for name, rows in document.items() if not rows] == []
    assert MARKER in json.dumps(document["model_answers"])
    assert document["assessment_responses"][0]["answer"] == MARKER


async def test_nobody_elses_and_no_secret_is_in_it(engine_of_two: AsyncEngine, people: list[Marked]) -> None:
    document = await exported(engine_of_two, people[0])

    assert OTHER not in json.dumps(document)
    assert "password_hash" not in document["users"][0]
    assert "token_hash" not in document["refresh_tokens"][0]
    assert all("rubric" not in question for question in document["assessment_question_snapshots"])


async def test_an_export_leaves_an_audit_row(engine_of_two: AsyncEngine, people: list[Marked]) -> None:
    person = people[0]
    viewer = PeopleViewer(organization_id=person.organization_id)
    await Exports(engine_of_two).begin(person.id, viewer, Actor(id=person.admin_id, role="admin"))

    async with sessions(engine_of_two)() as session:
        row = select(AuditLogRow.actor_id).where(AuditLogRow.action == "user.exported")
        assert list(await session.scalars(row)) == [person.admin_id]


async def test_only_the_organizations_people_are_exported(engine_of_two: AsyncEngine, people: list[Marked]) -> None:
    person, other = people
    viewer = PeopleViewer(organization_id=other.organization_id)
    with pytest.raises(NotFound):
        await Exports(engine_of_two).begin(person.id, viewer, Actor(id=other.admin_id, role="admin"))


async def test_who_is_being_erased_is_not_exported(engine_of_two: AsyncEngine, people: list[Marked]) -> None:
    person = people[0]
    async with unit_of_work_factory(engine_of_two)() as unit:
        await unit.erasures.begin(person.id, **person.viewer)
        await unit.commit()
    viewer = PeopleViewer(organization_id=person.organization_id)
    with pytest.raises(Erased):
        await Exports(engine_of_two).begin(person.id, viewer, Actor(id=person.admin_id, role="admin"))
