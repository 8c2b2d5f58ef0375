"""The review queue equals the published results and the stored reviews, after every publication, review and appeal."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from domain.grading.review_queue import ReviewReason
from domain.organizations import OrganizationSettings
from persistence.tables import OrganizationRow, ReviewItemRow
from tests.persistence.review_queue.course import (
    ABSTAINED,
    CONFIDENT,
    FLAGGED,
    KINDS,
    NOW,
    UNSURE,
    Course,
    a_course,
    graded,
    rows,
)
from tests.support.builders import an_essay_score

# Publications and reviews


async def test_a_doubtful_essay_waits_with_everything_that_a_list_filters_by(course: Course) -> None:
    await course.publish(graded(course, CONFIDENT, FLAGGED))

    (row,) = (await rows(course)).values()
    essay = course.essays[1]
    assert (row.question_snapshot_id, row.question_id) == (essay.snapshot_id, essay.question.id)
    assert (row.organization_id, row.user_id, row.role_id) == (
        course.assessment.organization_id,
        course.assessment.user_id,
        course.assessment.role_id,
    )
    assert (row.reasons, row.waiting, row.revision, row.submitted_at) == (["flagged"], True, 1, NOW)


async def test_a_reviewed_essay_does_not_wait_and_leaves_with_the_next_revision(course: Course) -> None:
    await course.publish(graded(course, UNSURE, FLAGGED))
    await course.review(course.essays[0])
    before_publication = await course.queue()
    await course.publish({})

    first, second = (each.snapshot_id for each in course.essays)
    assert before_publication == {first: (frozenset({"low_confidence"}), False), second: (frozenset({"flagged"}), True)}
    assert await course.queue() == {second: (frozenset({"flagged"}), True)}


async def test_healing_that_removes_the_doubt_removes_the_essay(course: Course) -> None:
    await course.publish(graded(course, ABSTAINED, CONFIDENT))
    await course.publish(graded(course, CONFIDENT, CONFIDENT))

    assert await course.queue() == {}


async def test_a_review_that_a_revision_does_not_include_still_keeps_the_essay_from_waiting(course: Course) -> None:
    await course.publish(graded(course, UNSURE, CONFIDENT))
    await course.review(course.essays[0])
    await course.publish(graded(course, FLAGGED, CONFIDENT), with_reviews=False)

    assert await course.queue() == {course.essays[0].snapshot_id: (frozenset({"flagged"}), False)}


async def test_a_claim_survives_the_publication_of_another_essays_review(course: Course) -> None:
    await course.publish(graded(course, UNSURE, FLAGGED))
    second = course.essays[1].snapshot_id
    until = NOW + timedelta(minutes=9)
    await course.session.execute(
        update(ReviewItemRow)
        .where(ReviewItemRow.question_snapshot_id == second)
        .values(claimed_by=course.advisor.id, claimed_until=until)
    )
    await course.review(course.essays[0])
    await course.publish({})

    row = (await rows(course))[second]
    assert (row.claimed_by, row.claimed_until, row.revision) == (course.advisor.id, until, 2)


async def test_the_order_does_not_depend_on_the_time(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    courses = [await a_course(session, session_factory) for _ in range(6)]
    for course in courses:
        await course.publish(graded(course, UNSURE, UNSURE))

    keys = [row.order_key for course in courses for row in (await rows(course)).values()]

    assert len(set(keys)) == len(keys) == 12
    assert keys != sorted(keys)


async def test_priorities_follow_the_reasons(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, UNSURE))
    sampled, doubted = (each.snapshot_id for each in course.essays)
    before = {snapshot_id: row.priority for snapshot_id, row in (await rows(course)).items()}
    await course.appeal(course.essays[0])
    session.expire_all()

    assert before == {sampled: 2, doubted: 1}
    assert (await rows(course))[sampled].priority == 0


# Audit samples


async def test_an_audit_sample_does_not_mark_the_assessment(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, CONFIDENT))

    assert {reasons for reasons, _ in (await course.queue()).values()} == {frozenset({"audit_sample"})}
    assert not await course.needs_review()


async def test_a_sampled_essay_stays_sampled_over_revisions_until_it_is_reviewed(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    before = await course.queue()
    await course.publish({})
    revised = await course.queue()
    await course.review(course.essays[0])
    await course.publish({})

    assert revised == before
    assert (await course.queue()).keys() == {course.essays[1].snapshot_id}


async def test_without_the_setting_one_in_twenty_is_sampled(course: Course) -> None:
    await course.session.execute(update(OrganizationRow).values(settings={}))
    await course.publish(graded(course, CONFIDENT, CONFIDENT))

    course.share = OrganizationSettings().audit_share
    assert course.share == 0.05
    assert await course.queue() == await course.expected()


# Appeals


async def test_an_appeal_waits_through_reviews_and_revisions_until_it_is_answered(course: Course) -> None:
    essay = course.essays[0]
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    await course.appeal(essay)
    await course.appeal(essay)
    await course.review(essay)
    await course.publish({})
    waiting = await course.queue()
    await course.answer_appeal(essay)

    assert waiting == {essay.snapshot_id: (frozenset({"appealed"}), True)}
    assert await course.queue() == {}


async def test_a_doubtful_essay_waits_on_after_its_appeal_was_rejected(course: Course) -> None:
    essay = course.essays[0]
    await course.publish(graded(course, FLAGGED, CONFIDENT))
    await course.appeal(essay)
    await course.answer_appeal(essay)

    assert await course.queue() == {essay.snapshot_id: (frozenset({"flagged"}), True)}


async def test_a_doubtful_essay_with_an_upheld_appeal_waits_for_its_publication_only(course: Course) -> None:
    essay = course.essays[0]
    await course.publish(graded(course, FLAGGED, CONFIDENT))
    await course.appeal(essay)
    await course.review(essay)
    await course.answer_appeal(essay)

    assert await course.queue() == {essay.snapshot_id: (frozenset({"flagged"}), False)}


# Any sequence


@pytest.mark.parametrize("seed", range(12))
async def test_the_queue_and_needs_review_agree_after_every_step(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession], seed: int
) -> None:
    choice = random.Random(seed)
    course = await a_course(session, session_factory, share=choice.choice((0.0, 0.3, 1.0)))
    await course.publish(graded(course, *(choice.choice(KINDS) for _ in course.essays)))
    await course.check()
    for _ in range(12):
        essay = choice.choice(course.essays)
        match choice.randrange(6):
            case 0:
                await course.review(essay)
            case 1:
                await course.publish({})
            case 2:  # healing grades an essay again that no reviewer has graded
                if not course.current[essay.snapshot_id].reviewed:
                    anew = an_essay_score(essay.snapshot_id, **choice.choice(KINDS))
                    await course.publish({essay.snapshot_id: anew}, with_reviews=choice.random() < 0.5)
            case 3:
                await course.appeal(essay)
            case 4:
                await course.answer_appeal(essay)
            case 5:
                assert await course.repair() == 0
        await course.check()


async def test_reasons_of_every_kind_can_be_stored(course: Course) -> None:
    await course.publish(graded(course, UNSURE, UNSURE))

    await course.session.execute(update(ReviewItemRow).values(reasons=[reason.value for reason in ReviewReason]))

    assert {row.priority for row in (await rows(course)).values()} == {0}
