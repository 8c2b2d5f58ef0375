"""The repository of assessments: locks, conditional transitions, their audit rows and the pages of reconciliation."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.database import Database
from domain.errors import Conflict, Erased, NotFound
from domain.sweeps import Cursor
from persistence.database import create_engine
from persistence.tables import AssessmentRow, AuditLogRow, UserRow
from persistence.unit_of_work import SqlDatabase
from tests.support.builders import a_user, an_assessment, good_answer
from tests.support.databases import settings_of

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


async def save(database: Database, before: Assessment, after: Assessment, actor: UUID | None = None) -> None:
    async with database.transaction() as uow:
        await uow.assessments.save(before, after, actor=actor)
        await uow.commit()


async def awaiting(session: AsyncSession, **columns: Any) -> Assessment:
    return await an_assessment(session, status="awaiting_async", submitted_at=HOUR_AGO, **columns)


async def test_an_assessment_is_locked_with_the_databases_clock(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session)

    async with database.transaction() as uow:
        locked, now = await uow.assessments.lock(assessment.id)

    assert locked == assessment
    assert now.tzinfo is not None


async def test_locking_a_missing_assessment_is_not_found(database: Database) -> None:
    async with database.transaction() as uow:
        with pytest.raises(NotFound):
            await uow.assessments.lock(uuid4())


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_an_erased_users_assessment_cannot_be_locked(
    session: AsyncSession, database: Database, status: str
) -> None:
    assessment = await an_assessment(session)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status=status))

    async with database.transaction() as uow:
        with pytest.raises(Erased):
            await uow.assessments.lock(assessment.id)


async def test_a_second_connection_waits_for_the_lock_and_sees_what_was_committed(clean_database: str) -> None:
    engine = create_engine(settings_of(clean_database))
    database = SqlDatabase(engine)
    async with AsyncSession(engine) as session:
        assessment = await an_assessment(session)
        await session.commit()

    async def status_after_waiting() -> AssessmentStatus:
        async with database.transaction() as uow:
            locked, _ = await uow.assessments.lock(assessment.id)
            return locked.status

    async with database.transaction() as uow:
        locked, _ = await uow.assessments.lock(assessment.id)
        second = asyncio.create_task(status_after_waiting())
        await until_blocked(engine)
        await uow.assessments.save(locked, locked.submit())
        await uow.commit()

    assert await second is AssessmentStatus.AWAITING_ASYNC
    await engine.dispose()


async def test_an_erasure_waits_for_the_lock(clean_database: str) -> None:
    engine = create_engine(settings_of(clean_database))
    database = SqlDatabase(engine)
    async with AsyncSession(engine) as session:
        assessment = await an_assessment(session)
        await session.commit()

    async def erase() -> None:
        async with engine.begin() as connection:
            await connection.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    async with database.transaction() as uow:
        await uow.assessments.lock(assessment.id)
        erasure = asyncio.create_task(erase())
        await until_blocked(engine)
        assert not erasure.done()
        await uow.commit()
    await erasure
    await engine.dispose()


async def test_submitting_sets_the_time_and_leaves_an_audit_row(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session)

    await save(database, assessment, assessment.submit(), actor=assessment.user_id)

    row = (await session.execute(select(AssessmentRow).where(AssessmentRow.id == assessment.id))).scalar_one()
    audit = (await session.execute(select(AuditLogRow).where(AuditLogRow.resource_id == assessment.id))).scalar_one()
    assert (row.status, row.submitted_at is not None) == ("awaiting_async", True)
    assert (audit.action, audit.actor_id, audit.actor_role, audit.organization_id) == (
        "assessment.submitted",
        assessment.user_id,
        "student",
        assessment.organization_id,
    )


async def test_the_system_acts_without_a_person(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session)

    await save(database, assessment, assessment.fail("expired"))

    audit = (await session.execute(select(AuditLogRow).where(AuditLogRow.resource_id == assessment.id))).scalar_one()
    assert (audit.action, audit.actor_id, audit.actor_role) == ("assessment.failed", None, "system")
    assert audit.details == {"run": 1, "revision": 0, "reason": "expired"}


async def test_a_transition_of_a_changed_row_is_a_conflict(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session)
    await save(database, assessment, assessment.submit())

    with pytest.raises(Conflict):
        await save(database, assessment, assessment.fail("late"))

    async with database.transaction() as uow:
        assert (await uow.assessments.get(assessment.id)).status is AssessmentStatus.AWAITING_ASYNC


async def test_every_transition_comes_back_as_it_was_saved(session: AsyncSession, database: Database) -> None:
    before = await awaiting(session)
    claimed = before.claim(datetime.now(UTC))
    failed = claimed.fail("bad_data")
    again = failed.rerun()

    for old, new in ((before, claimed), (claimed, failed), (failed, again)):
        await save(database, old, new)
        async with database.transaction() as uow:
            assert await uow.assessments.get(before.id) == new

    actions = await session.scalars(
        select(AuditLogRow.action).where(AuditLogRow.resource_id == before.id).order_by(AuditLogRow.seq)
    )
    assert actions.all() == ["assessment.claimed", "assessment.failed", "assessment.rerun"]


async def test_healing_that_stops_again_and_again_leaves_a_row_each_time(
    session: AsyncSession, database: Database
) -> None:
    due = await an_assessment(session, status="completed", revision=1, healing="due")
    stopped = due.end_healing(Healing.STOPPED, "corrupt_data")

    for _ in range(2):
        await save(database, due, stopped)
        await save(database, stopped, stopped.retry_healing())

    actions = await session.scalars(select(AuditLogRow.action).where(AuditLogRow.resource_id == due.id))
    assert sorted(actions) == ["assessment.healing_due"] * 2 + ["assessment.healing_stopped"] * 2


async def test_items_come_in_order_with_their_answers(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, items=9)

    async with database.transaction() as uow:
        items = await uow.assessments.items(assessment.id)

    assert len(items) == 9
    assert [item.answer for item in items] == [good_answer(item) for item in items]


async def test_unanswered_items_are_returned_too(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, answered=False)

    async with database.transaction() as uow:
        assert {item.answer for item in await uow.assessments.items(assessment.id)} == {None}


async def test_each_page_of_reconciliation_returns_its_assessments(session: AsyncSession, database: Database) -> None:
    submitted = await awaiting(session)
    claimed = await awaiting(session, claimed_at=HOUR_AGO)
    await an_assessment(session)
    due = await an_assessment(session, expires_at=HOUR_AGO)
    await an_assessment(session, status="failed", failure_reason="expired")

    async with database.transaction() as uow:
        unclaimed = await uow.assessments.unclaimed(older_than_s=15, after=None, limit=10)
        unfinished = await uow.assessments.claimed(older_than_s=60, after=None, limit=10)
        expired = await uow.assessments.due(after=None, limit=10)

    assert unclaimed == (submitted,)
    assert unfinished == (claimed,)
    assert expired == (due,)


async def test_pages_continue_after_an_id(session: AsyncSession, database: Database) -> None:
    ids = sorted([(await awaiting(session)).id for _ in range(3)])

    async with database.transaction() as uow:
        first = await uow.assessments.unclaimed(older_than_s=15, after=None, limit=2)
        second = await uow.assessments.unclaimed(older_than_s=15, after=first[-1].id, limit=2)

    assert [assessment.id for assessment in (*first, *second)] == ids


async def test_pages_of_due_assessments_continue_after_a_deadline_and_an_id(
    session: AsyncSession, database: Database
) -> None:
    latest = await an_assessment(session, items=2, expires_at=HOUR_AGO + timedelta(seconds=1))
    first, second = sorted(
        [await an_assessment(session, items=2, expires_at=HOUR_AGO) for _ in range(2)], key=lambda each: each.id
    )

    async with database.transaction() as uow:
        page = await uow.assessments.due(after=None, limit=1)
        rest = await uow.assessments.due(after=Cursor(id=page[0].id, at=page[0].expires_at), limit=10)

    assert (*page, *rest) == (first, second, latest)


async def test_assessments_of_erased_users_are_not_reconciled(session: AsyncSession, database: Database) -> None:
    user_id = await a_user(session, status="erasing")
    await an_assessment(session, user_id=user_id, status="awaiting_async", submitted_at=HOUR_AGO)
    await an_assessment(session, user_id=user_id, expires_at=HOUR_AGO)

    async with database.transaction() as uow:
        assert await uow.assessments.unclaimed(older_than_s=15, after=None, limit=10) == ()
        assert await uow.assessments.due(after=None, limit=10) == ()


async def test_an_uncommitted_unit_leaves_nothing(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session)
    await session.commit()

    async with database.transaction() as uow:
        await uow.assessments.save(assessment, replace(assessment, status=AssessmentStatus.AWAITING_ASYNC))

    async with database.transaction() as uow:
        assert await uow.assessments.get(assessment.id) == assessment


async def until_blocked(engine: AsyncEngine) -> None:
    """Return when a session of this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10), engine.connect() as watching:
        while not await watching.scalar(waiting):
            await watching.rollback()  # the view does not change within a transaction
