"""Stored fingerprints of answers, and the earlier answers that they find."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.grading.copies import COMMON, MOST_SOURCES, OtherAnswer, OtherAnswers
from persistence.tables import AnswerShingleRow, AssessmentRow, QuestionSnapshotRow, ResponseRow, UserRow
from tests.support.builders import a_user, an_assessment, an_organization
from tests.support.reviewed_answers import first_essay

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHINGLES = (-9, 1, 2, 3)


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await an_assessment(session, items=2, submitted_at=NOON)


async def essay_of(session: AsyncSession, assessment_id: UUID) -> UUID:
    return (await first_essay(session, assessment_id)).snapshot_id


async def added(
    session: AsyncSession, database: Database, assessment_id: UUID, shingles: tuple[int, ...] = SHINGLES
) -> OtherAnswers:
    """Add the fingerprint of the assessment's first essay and return what it is compared with."""
    essay = await essay_of(session, assessment_id)
    async with database.transaction() as uow:
        found = await uow.fingerprints.add(assessment_id, {essay: shingles})
        await uow.commit()
    return found.get(essay, OtherAnswers())


async def an_earlier_answer(
    session: AsyncSession,
    database: Database,
    organization_id: UUID,
    *shingles: int,
    minutes: int = -1,
    user_id: UUID | None = None,
    **user: Any,
) -> OtherAnswer:
    user_id = user_id or await a_user(session, organization_id, **user)
    other = await an_assessment(
        session,
        user_id=user_id,
        items=2,
        submitted_at=NOON + timedelta(minutes=minutes),
        status="completed",
        revision=1,
    )
    await added(session, database, other.id, shingles or SHINGLES)
    essay = await essay_of(session, other.id)
    text = await session.scalar(select(ResponseRow.answer).where(ResponseRow.question_snapshot_id == essay))
    return OtherAnswer(assessment_id=other.id, snapshot_id=essay, text=text)


async def test_an_earlier_answer_with_the_same_shingles_is_found_with_its_text(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    other = await an_earlier_answer(session, database, assessment.organization_id)

    assert await added(session, database, assessment.id) == OtherAnswers(answers=(other,))


async def test_a_repetition_stores_nothing_and_finds_the_same(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await an_earlier_answer(session, database, assessment.organization_id)
    first = await added(session, database, assessment.id)

    assert await added(session, database, assessment.id) == first
    assert await session.scalar(select(func.count()).select_from(AnswerShingleRow)) == 2 * len(SHINGLES)


@pytest.mark.parametrize("join", ["nestloop", "hashjoin", "mergejoin"])
async def test_answers_with_most_shingles_in_common_come_first_whatever_the_plan(
    session: AsyncSession, database: Database, assessment: Assessment, join: str
) -> None:
    counts = [2, 1, 3, 4, 1]
    others = [
        await an_earlier_answer(session, database, assessment.organization_id, *SHINGLES[:count]) for count in counts
    ]
    for other in {"nestloop", "hashjoin", "mergejoin"} - {join}:
        await session.execute(text(f"SET LOCAL enable_{other} = off"))

    found = (await added(session, database, assessment.id)).answers

    assert [counts[others.index(each)] for each in found] == [4, 3, 2, 1, 1]


async def test_a_later_answer_is_no_source(session: AsyncSession, database: Database, assessment: Assessment) -> None:
    await an_earlier_answer(session, database, assessment.organization_id, minutes=1)

    assert (await added(session, database, assessment.id)).answers == ()


async def test_the_students_own_earlier_answer_is_no_source(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await an_earlier_answer(session, database, assessment.organization_id, user_id=assessment.user_id)

    assert (await added(session, database, assessment.id)).answers == ()


async def test_an_answer_of_another_organization_is_no_source(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await an_earlier_answer(session, database, await an_organization(session))

    assert (await added(session, database, assessment.id)).answers == ()


async def test_an_answer_to_another_question_is_no_source(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    essay = await essay_of(session, assessment.id)
    await session.execute(
        update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == essay).values(question_id=uuid4())
    )
    await an_earlier_answer(session, database, assessment.organization_id)

    assert (await added(session, database, assessment.id)).answers == ()


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_an_answer_of_an_erased_student_is_no_source(
    session: AsyncSession, database: Database, assessment: Assessment, status: str
) -> None:
    other = await an_earlier_answer(session, database, assessment.organization_id)
    user = select(AssessmentRow.user_id).where(AssessmentRow.id == other.assessment_id).scalar_subquery()
    await session.execute(update(UserRow).where(UserRow.id == user).values(status=status))

    assert (await added(session, database, assessment.id)).answers == ()


async def test_nothing_is_stored_about_a_student_who_is_being_erased(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    await added(session, database, assessment.id)

    assert await session.scalar(select(func.count()).select_from(AnswerShingleRow)) == 0


async def test_nothing_is_stored_about_a_deleted_answer(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == assessment.id))

    await added(session, database, assessment.id)

    assert await session.scalar(select(func.count()).select_from(AnswerShingleRow)) == 0


async def test_a_shingle_of_many_answers_is_common_and_the_sources_are_bounded(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    one = await an_earlier_answer(session, database, assessment.organization_id)
    copies = [await an_assessment(session, items=2, submitted_at=NOON - timedelta(hours=1)) for _ in range(COMMON - 1)]
    stored = select(AnswerShingleRow.shingle).where(AnswerShingleRow.question_snapshot_id == one.snapshot_id)
    shingles = list(await session.scalars(stored))
    rows = [
        {"shingle": shingle, "question_snapshot_id": await essay_of(session, each.id)}
        for each in copies
        for shingle in shingles[:2]
    ]
    await session.execute(insert(AnswerShingleRow), rows)
    organization = {"organization_id": assessment.organization_id}
    await session.execute(
        update(AssessmentRow).values(**organization), execution_options={"synchronize_session": False}
    )

    found = await added(session, database, assessment.id)

    assert len(found.common) == 2
    assert found.common < set(SHINGLES)
    assert len(found.answers) == MOST_SOURCES
    assert found.answers[0] == one


async def test_without_shingles_there_is_nothing_to_do(database: Database, assessment: Assessment) -> None:
    async with database.transaction() as uow:
        assert await uow.fingerprints.add(assessment.id, {uuid4(): ()}) == {}
