"""The export of all data about a user in one document."""

import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.database import Database
from domain.errors import Erased, NotFound
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import Actor
from persistence.repositories import audit, export
from persistence.repositories.export import PERSONAL_DATA, Exports
from persistence.tables import AuditLogRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.persistence.people import Marked, a_marked_person
from tests.persistence.plans import explained, handled, nodes
from tests.support.builders import some_credentials
from tests.support.statements import recorded

MARKER, OTHER = "marker-of-the-exported-3316", "marker-of-somebody-else-2207"


@pytest.fixture
async def people(clean_engine: AsyncEngine) -> list[Marked]:
    """A user, and a user of another organization."""
    database = SqlDatabase(clean_engine)
    async with sessions(clean_engine)() as session:
        credentials = await some_credentials(session)
        await session.commit()
    return [await _committed(clean_engine, database, credentials, marker) for marker in (MARKER, OTHER)]


async def _committed(engine: AsyncEngine, database: Database, credentials: list[UUID], marker: str) -> Marked:
    async with sessions(engine)() as session:
        person = await a_marked_person(session, database, credentials, marker)
        await session.commit()
    return person


async def exported(engine: AsyncEngine, person: Marked) -> dict[str, Any]:
    document = b"".join([piece async for piece in Exports(engine).document(person.id)])
    found: dict[str, Any] = json.loads(document)
    return found


async def test_the_export_has_rows_of_every_table(clean_engine: AsyncEngine, people: list[Marked]) -> None:
    document = await exported(clean_engine, people[0])

    assert document.keys() == {"user_id", *(row.__tablename__ for row in PERSONAL_DATA)}
    assert [name for name, rows in document.items() if not rows] == []
    assert MARKER in json.dumps(document["model_answers"])
    assert document["assessment_responses"][0]["answer"] == MARKER


async def test_the_export_names_the_user_and_their_cohorts(clean_engine: AsyncEngine, people: list[Marked]) -> None:
    document = await exported(clean_engine, people[0])

    user = document["users"][0]
    assert (user["name"], user["external_id"]) == (MARKER, MARKER)
    assert (user["time_factor"], user["extra_minutes"]) == ("2.00", 30)
    assert [cohort["name"] for cohort in document["cohorts"]] == ["Spring 2026"]
    assert document["cohort_members"][0]["cohort_id"] == document["cohorts"][0]["id"]


async def test_the_export_has_no_secrets_and_no_data_of_others(clean_engine: AsyncEngine, people: list[Marked]) -> None:
    document = await exported(clean_engine, people[0])

    assert OTHER not in json.dumps(document)
    assert "password_hash" not in document["users"][0]
    assert "token_hash" not in document["refresh_tokens"][0]
    assert all("rubric" not in question for question in document["assessment_question_snapshots"])


async def test_an_export_leaves_an_audit_row(clean_engine: AsyncEngine, people: list[Marked]) -> None:
    person = people[0]
    viewer = PeopleScope(organization_id=person.organization_id)
    await Exports(clean_engine).begin(person.id, viewer, Actor(id=person.admin_id, role="admin"))

    async with sessions(clean_engine)() as session:
        row = select(AuditLogRow.actor_id).where(AuditLogRow.action == "user.exported")
        assert list(await session.scalars(row)) == [person.admin_id]


async def test_only_the_organizations_people_are_exported(clean_engine: AsyncEngine, people: list[Marked]) -> None:
    person, other = people
    viewer = PeopleScope(organization_id=other.organization_id)
    with pytest.raises(NotFound):
        await Exports(clean_engine).begin(person.id, viewer, Actor(id=other.admin_id, role="admin"))


async def test_a_user_being_erased_is_not_exported(clean_engine: AsyncEngine, people: list[Marked]) -> None:
    person = people[0]
    async with SqlDatabase(clean_engine).transaction() as uow:
        await uow.erasures.begin(person.id, **person.viewer)
        await uow.commit()
    viewer = PeopleScope(organization_id=person.organization_id)
    with pytest.raises(Erased):
        await Exports(clean_engine).begin(person.id, viewer, Actor(id=person.admin_id, role="admin"))


@pytest.mark.parametrize("page", [1, 3, 100])
async def test_the_actions_of_an_admin_are_read_in_pages(
    clean_engine: AsyncEngine, people: list[Marked], monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(export, "PAGE", page)
    admin = people[0].admin_id
    async with sessions(clean_engine)() as session:
        for number in range(7):
            await audit.record(session, Actor(id=admin, role="admin"), f"test.{number}", "user", people[0].id, None)
        await audit.record(session, Actor(id=admin, role="admin"), "test.own", "user", admin, None)
        await audit.record(session, Actor(id=people[0].id, role="student"), "test.about", "user", admin, None)
        await session.commit()

    with recorded(clean_engine) as sent:
        document = b"".join([piece async for piece in Exports(clean_engine).document(admin)])

    rows = json.loads(document)["audit_logs"]
    assert {row["action"] for row in rows} >= {*(f"test.{number}" for number in range(7)), "test.own", "test.about"}
    assert len({row["id"] for row in rows}) == len(rows)
    plans = [await explained(clean_engine, *each, large=True) for each in sent if "FROM audit_logs" in each[0]]
    scans = [node for plan in plans for node in nodes(plan) if node.get("Index Name") == "idx_audit_logs_actor"]
    assert 1 <= max(map(handled, scans)) <= page
