"""The retention of answers of essays in the review queue."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from domain.privacy import RetentionRule
from persistence.tables import AssessmentRow, ResponseRow
from tests.persistence.review_queue.course import CONFIDENT, NOW, UNSURE, Course, a_course, graded


async def answers(course: Course) -> int:
    found = select(ResponseRow.id).where(ResponseRow.assessment_id == course.assessment.id)
    return len((await course.session.scalars(found)).all())


async def retain(course: Course) -> None:
    long_ago = NOW - timedelta(days=31)
    times = {"created_at": long_ago, "completed_at": long_ago, "released_at": None}
    await course.session.execute(update(AssessmentRow).values(times))
    async with course.uow() as uow:
        await uow.retention.apply(RetentionRule.ANSWERS, days=30, after=None, limit=10)
        await uow.commit()


async def test_answers_are_kept_until_a_doubtful_essay_is_reviewed(course: Course) -> None:
    await course.publish(graded(course, UNSURE, CONFIDENT))
    await retain(course)
    kept = await answers(course)
    await course.review(course.essays[0])
    await course.publish({})
    await retain(course)

    assert kept > 0
    assert await answers(course) == 0


async def test_answers_are_kept_until_an_appeal_is_answered(course: Course) -> None:
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    await course.appeal(course.essays[0])
    await retain(course)

    assert await answers(course) > 0


async def test_an_audit_sample_leaves_the_queue_with_its_answer(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    await retain(course)

    assert await answers(course) == 0
    assert await course.queue() == {}
