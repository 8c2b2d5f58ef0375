"""Answers that were graded without fingerprints get them from a sweep, so that later copies of them are found."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from activities.copies import CopySearch
from activities.essays import essay_of
from activities.reconcile import Reconcile
from activities.text_analysis import IN_PROCESS
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.privacy import RetentionRule
from domain.sweeps import Concern
from persistence.tables import AnswerShingleRow, AssessmentRow, QuestionSnapshotRow, ResponseRow, UserRow
from persistence.unit_of_work import SqlDatabase
from tests.activities.builders import essays_of, submitted
from tests.activities.reconciling.sweeps import sweep
from tests.persistence.test_assessments import until_blocked
from tests.support.builders import a_user, an_assessment
from tests.support.reviewed_answers import first_essay

NOW = datetime.now(UTC)
TEXT = " ".join(f"word{place}" for place in range(80))


async def graded(
    session: AsyncSession, organization_id: UUID | None = None, *, minutes: int = 60
) -> tuple[Assessment, UUID]:
    """An assessment with a result of `minutes` ago and without fingerprints, and its first essay with `TEXT`."""
    ago = NOW - timedelta(minutes=minutes)
    user_id = await a_user(session, organization_id) if organization_id else None
    columns: dict[str, Any] = {"status": "completed", "revision": 1}
    columns |= dict.fromkeys(("created_at", "submitted_at", "completed_at"), ago)
    assessment = await an_assessment(session, user_id=user_id, items=2, **columns)
    essay = (await first_essay(session, assessment.id)).snapshot_id
    await session.execute(update(ResponseRow).where(ResponseRow.question_snapshot_id == essay).values(answer=TEXT))
    return assessment, essay


async def with_fingerprints(session: AsyncSession) -> set[UUID]:
    """Return the assessments with fingerprints."""
    snapshots = select(AnswerShingleRow.question_snapshot_id)
    owners = select(QuestionSnapshotRow.assessment_id).where(QuestionSnapshotRow.id.in_(snapshots))
    return set(await session.scalars(owners))


async def test_a_copy_of_an_older_answer_is_found_after_the_sweep(
    session: AsyncSession, database: Database, reconcile: Reconcile
) -> None:
    older, essay = await graded(session)
    copy = await submitted(session, user_id=await a_user(session, older.organization_id))
    first = (await essays_of(database, copy))[0]
    await session.execute(update(ResponseRow).where(ResponseRow.question_snapshot_id == first).values(answer=TEXT))

    swept = await sweep(reconcile, Concern.FINGERPRINTS)

    assert (swept.rows, swept.started) == (1, 1)
    async with database.statement() as uow:
        items = await uow.assessments.items(copy.id)
    (found,) = await CopySearch(database=database, analysis=IN_PROCESS).add(copy.id, [essay_of(items, first)])
    assert [(other.snapshot_id, other.text) for other in found.others.answers] == [(essay, TEXT)]


async def test_the_next_sweep_looks_only_at_later_results(session: AsyncSession, reconcile: Reconcile) -> None:
    older, _ = await graded(session)
    await sweep(reconcile, Concern.FINGERPRINTS)
    later, _ = await graded(session, older.organization_id, minutes=30)

    swept = await sweep(reconcile, Concern.FINGERPRINTS)

    assert (swept.rows, swept.started) == (1, 1)
    assert await with_fingerprints(session) == {older.id, later.id}


async def test_a_result_that_may_still_be_in_the_middle_of_its_publication_waits_for_the_next_sweep(
    session: AsyncSession, reconcile: Reconcile
) -> None:
    await graded(session, minutes=1)

    assert (await sweep(reconcile, Concern.FINGERPRINTS)).rows == 0


async def test_a_sweep_that_was_lost_begins_again_and_stores_nothing_twice(
    session: AsyncSession, database: Database, reconcile: Reconcile
) -> None:
    older, _ = await graded(session)
    essays = await essays_of(database, older)
    await session.execute(update(ResponseRow).where(ResponseRow.question_snapshot_id.in_(essays)).values(answer=TEXT))
    async with database.statement() as uow:
        before = await uow.sweeps.cursor(Concern.FINGERPRINTS)
    await sweep(reconcile, Concern.FINGERPRINTS)
    stored = await session.scalar(select(func.count()).select_from(AnswerShingleRow))
    async with database.statement() as uow:
        await uow.sweeps.record(Concern.FINGERPRINTS, before)

    swept = await sweep(reconcile, Concern.FINGERPRINTS)

    assert (swept.rows, swept.started) == (1, 0)
    assert await session.scalar(select(func.count()).select_from(AnswerShingleRow)) == stored


async def test_a_sweep_whose_time_is_over_continues_with_the_next_result(
    session: AsyncSession, hurried: Reconcile
) -> None:
    older, _ = await graded(session)
    later, _ = await graded(session, older.organization_id, minutes=30)

    assert (await sweep(hurried, Concern.FINGERPRINTS)).started == 1
    assert await with_fingerprints(session) == {older.id}
    assert (await sweep(hurried, Concern.FINGERPRINTS)).started == 1
    assert await with_fingerprints(session) == {older.id, later.id}


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_nothing_is_stored_about_an_erased_student(
    session: AsyncSession, reconcile: Reconcile, status: str
) -> None:
    older, _ = await graded(session)
    await session.execute(update(UserRow).where(UserRow.id == older.user_id).values(status=status))

    swept = await sweep(reconcile, Concern.FINGERPRINTS)

    assert (swept.rows, swept.started, dict(swept.errors)) == (1, 0, {})
    assert await with_fingerprints(session) == set()


async def test_nothing_is_stored_about_answers_that_retention_deleted(
    session: AsyncSession, reconcile: Reconcile
) -> None:
    older, _ = await graded(session)
    await session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == older.id))

    assert (await sweep(reconcile, Concern.FINGERPRINTS)).started == 0

    assert await with_fingerprints(session) == set()


async def test_an_answer_that_cannot_be_read_does_not_stop_the_others(
    session: AsyncSession, reconcile: Reconcile
) -> None:
    broken, essay = await graded(session)
    await session.execute(update(ResponseRow).where(ResponseRow.question_snapshot_id == essay).values(answer=7))
    later, _ = await graded(session, broken.organization_id, minutes=30)

    swept = await sweep(reconcile, Concern.FINGERPRINTS)

    assert (swept.started, dict(swept.errors)) == (1, {"CORRUPT_DATA_500": 1})
    assert await with_fingerprints(session) == {later.id}


async def test_assessments_without_a_result_are_left_to_their_grading(
    session: AsyncSession, reconcile: Reconcile
) -> None:
    older, _ = await graded(session)
    waiting = {"status": "awaiting_async", "revision": 0, "completed_at": None}
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == older.id).values(**waiting))

    assert (await sweep(reconcile, Concern.FINGERPRINTS)).rows == 0


async def test_retention_that_deletes_the_answers_meanwhile_leaves_no_fingerprints(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    async with AsyncSession(clean_engine) as session:
        older, _ = await graded(session, minutes=40 * 24 * 60)
        await session.commit()

    async with database.transaction() as uow:
        assert (await uow.retention.apply(RetentionRule.ANSWERS, days=30, after=None, limit=10)).rows
        adding = asyncio.create_task(CopySearch(database=database, analysis=IN_PROCESS).add_missing(older.id))
        await until_blocked(clean_engine)
        await uow.commit()

    assert await adding
    async with AsyncSession(clean_engine) as session:
        assert await with_fingerprints(session) == set()
