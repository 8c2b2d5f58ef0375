"""Repair of the review queue for results that a release without the queue published."""

import pytest
from sqlalchemy import delete, insert, update

from persistence.tables import EssayScoreRow, ResponseRow, ReviewItemRow, UserRow
from tests.persistence.review_queue.course import ABSTAINED, CONFIDENT, UNSURE, Course, graded, rows


async def test_results_of_a_release_without_the_queue_are_added(course: Course) -> None:
    await course.publish(graded(course, UNSURE, ABSTAINED))
    await course.session.execute(delete(ReviewItemRow))

    assert await course.repair() == 1
    assert await course.repair() == 0

    await course.check()


async def test_a_revision_of_a_release_without_the_queue_removes_the_essay(course: Course) -> None:
    await course.publish(graded(course, UNSURE, ABSTAINED))
    stale = [
        {column.key: getattr(row, column.key) for column in ReviewItemRow.__table__.c if column.computed is None}
        for row in (await rows(course)).values()
    ]
    await course.publish(graded(course, CONFIDENT, ABSTAINED))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(insert(ReviewItemRow), stale)

    assert await course.repair() == 1

    await course.check()


async def test_an_essay_whose_answer_was_deleted_is_not_added_and_needs_no_review(course: Course) -> None:
    await course.publish(graded(course, UNSURE, ABSTAINED))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == course.assessment.id))

    assert await course.repair() == 1
    assert await course.repair() == 0

    assert await course.queue() == {}
    assert not await course.needs_review()


async def test_a_score_that_cannot_be_read_is_left_to_a_reviewer(course: Course) -> None:
    await course.publish(graded(course, UNSURE, UNSURE))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(
        update(EssayScoreRow)
        .where(EssayScoreRow.question_snapshot_id == course.essays[0].snapshot_id)
        .values(response_payload={})
    )

    assert await course.repair() == 1

    assert {reasons for reasons, _ in (await course.queue()).values()} == {
        frozenset({"abstained"}),
        frozenset({"low_confidence"}),
    }


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_results_of_erased_students_are_not_added(course: Course, status: str) -> None:
    await course.publish(graded(course, UNSURE, UNSURE))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(update(UserRow).where(UserRow.id == course.assessment.user_id).values(status=status))

    assert await course.repair() == 0
