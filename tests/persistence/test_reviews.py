"""Reads of reviews for publications, reconciliation and graders."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import EssayRubric, Item
from domain.database import Database
from persistence.repositories.assessments import SqlAssessments
from persistence.repositories.reviews import MAX_LABELLED, MAX_LABELLED_CHARS
from persistence.tables import EssayReviewRow, QuestionSnapshotRow, ResponseRow, UserRow
from tests.support.builders import a_user, an_assessment, an_organization

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def a_completed(session: AsyncSession, organization_id: UUID | None = None, **columns: Any) -> Assessment:
    user_id = columns.pop("user_id", None) or await a_user(session, organization_id)
    published: dict[str, Any] = {"status": "completed", "revision": 1, "items": 3}
    return await an_assessment(session, user_id=user_id, **(published | columns))


async def essays(session: AsyncSession, assessment: Assessment) -> list[Item]:
    items = await SqlAssessments(session).items(assessment.id)
    return [item for item in items if isinstance(item.question.rubric, EssayRubric)]


def lowest(item: Item) -> dict[str, str]:
    assert isinstance(item.question.rubric, EssayRubric)
    return {criterion.key: criterion.levels[0].name for criterion in item.question.rubric.criteria}


async def a_review(session: AsyncSession, assessment: Assessment, item: Item, **columns: Any) -> UUID:
    """Create a review with the lowest levels, at noon, by an advisor of the organization."""
    review_id = uuid4()
    values = {
        "assessment_id": assessment.id,
        "question_snapshot_id": item.snapshot_id,
        "reviewer_id": assessment.user_id,
        "levels": lowest(item),
        "created_at": NOON,
    }
    await session.execute(insert(EssayReviewRow).values(id=review_id, **(values | columns)))
    return review_id


async def label(session: AsyncSession, assessment: Assessment, text: str, minutes: int = 0) -> None:
    """Create a reviewed answer to the first essay."""
    item = (await essays(session, assessment))[0]
    await session.execute(update(ResponseRow).where(_response_to(item)).values(answer=text))
    await a_review(session, assessment, item, created_at=NOON + timedelta(minutes=minutes))


def _response_to(item: Item) -> ColumnElement[bool]:
    return ResponseRow.question_snapshot_id == item.snapshot_id


async def labelled(database: Database, session: AsyncSession, assessment: Assessment) -> Sequence[str]:
    """Return the texts that label the first essay of the assessment."""
    version = (await essays(session, assessment))[0].question.version
    async with database.transaction() as uow:
        return [anchor.text for anchor in (await uow.reviews.labelled(assessment.id, [version])).get(version, ())]


async def test_the_last_review_of_an_item_is_the_newest(session: AsyncSession, database: Database) -> None:
    assessment = await a_completed(session)
    first, second = await essays(session, assessment)
    newest = await a_review(session, assessment, first, created_at=NOON + timedelta(minutes=1), comment="Better.")
    await a_review(session, assessment, first)
    only = await a_review(session, assessment, second, published_revision=1)

    async with database.transaction() as uow:
        found = {review.snapshot_id: review for review in await uow.reviews.of(assessment.id)}

    assert {snapshot_id: review.id for snapshot_id, review in found.items()} == {
        first.snapshot_id: newest,
        second.snapshot_id: only,
    }
    assert found[first.snapshot_id].levels == lowest(first)
    assert [
        (found[item.snapshot_id].comment, found[item.snapshot_id].published_revision) for item in (first, second)
    ] == [
        ("Better.", None),
        (None, 1),
    ]


async def test_reviews_of_another_assessment_are_not_this_ones(session: AsyncSession, database: Database) -> None:
    assessment, other = await a_completed(session), await a_completed(session)
    await a_review(session, other, (await essays(session, other))[0])

    async with database.transaction() as uow:
        assert await uow.reviews.of(assessment.id) == ()


async def test_a_publication_marks_its_unpublished_reviews(session: AsyncSession, database: Database) -> None:
    assessment, other = await a_completed(session), await a_completed(session)
    item = (await essays(session, assessment))[0]
    elsewhere = await a_review(session, other, (await essays(session, other))[0])
    old = await a_review(session, assessment, item, published_revision=2)
    overtaken, new, later = [await a_review(session, assessment, item) for _ in range(3)]

    async with database.transaction() as uow:
        await uow.reviews.published([old, overtaken, new], 3)
        await uow.commit()

    rows = await session.execute(select(EssayReviewRow.id, EssayReviewRow.published_revision))
    assert {row.id: row.published_revision for row in rows} == {
        old: 2,
        overtaken: 3,
        new: 3,
        later: None,
        elsewhere: None,
    }


async def test_completed_assessments_with_an_unpublished_review_come_by_id(
    session: AsyncSession, database: Database
) -> None:
    waiting = sorted([await a_completed(session) for _ in range(3)], key=lambda each: each.id)
    for each in waiting:
        for item in await essays(session, each):
            await a_review(session, each, item)
    published = await a_completed(session)
    await a_review(session, published, (await essays(session, published))[0], published_revision=2)

    async with database.transaction() as uow:
        first = await uow.reviews.unpublished(after=None, limit=2)
        second = await uow.reviews.unpublished(after=first[-1].id, limit=2)

    assert [*first, *second] == waiting


@pytest.mark.parametrize(
    ("person", "columns"),
    [("erasing", {}), ("active", {"status": "awaiting_async"}), ("active", {"healing": "stopped"})],
    ids=["the person is being erased", "there is no result", "an error has stopped it"],
)
async def test_reviews_that_cannot_be_published_are_not_reconciled(
    session: AsyncSession, database: Database, person: str, columns: dict[str, Any]
) -> None:
    assessment = await a_completed(session, **columns)
    await a_review(session, assessment, (await essays(session, assessment))[0])
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status=person))

    async with database.transaction() as uow:
        assert await uow.reviews.unpublished(after=None, limit=10) == ()


async def test_reviewed_answers_of_others_are_labelled_oldest_first(session: AsyncSession, database: Database) -> None:
    organization_id = await an_organization(session)
    assessment, *others = [await a_completed(session, organization_id) for _ in range(3)]
    await label(session, others[0], "the later one", minutes=5)
    await label(session, others[1], "the earlier one")

    item = (await essays(session, assessment))[0]
    async with database.transaction() as uow:
        found = await uow.reviews.labelled(assessment.id, [item.question.version])

    assert {version: [anchor.text for anchor in anchors] for version, anchors in found.items()} == {
        item.question.version: ["the earlier one", "the later one"]
    }
    assert found[item.question.version][0].levels == lowest(item)


async def test_a_later_review_of_an_answer_replaces_the_earlier_one(session: AsyncSession, database: Database) -> None:
    organization_id = await an_organization(session)
    assessment, other = [await a_completed(session, organization_id) for _ in range(2)]
    await label(session, other, "reviewed twice")
    item = (await essays(session, other))[0]
    assert isinstance(item.question.rubric, EssayRubric)
    highest = {criterion.key: criterion.levels[-1].name for criterion in item.question.rubric.criteria}
    await a_review(session, other, item, levels=highest, created_at=NOON + timedelta(minutes=1))

    async with database.transaction() as uow:
        (anchor,) = (await uow.reviews.labelled(assessment.id, [item.question.version]))[item.question.version]

    assert (anchor.text, anchor.levels) == ("reviewed twice", highest)


async def test_only_the_newest_labels_are_kept(session: AsyncSession, database: Database) -> None:
    organization_id = await an_organization(session)
    assessment = await a_completed(session, organization_id)
    for minute in range(MAX_LABELLED + 2):
        await label(session, await a_completed(session, organization_id, items=2), f"answer {minute}", minute)

    assert await labelled(database, session, assessment) == [f"answer {each}" for each in range(2, MAX_LABELLED + 2)]


async def test_only_as_many_of_the_newest_labels_are_kept_as_a_worker_can_embed(
    session: AsyncSession, database: Database
) -> None:
    organization_id = await an_organization(session)
    assessment = await a_completed(session, organization_id)
    third = MAX_LABELLED_CHARS // 3
    for minute, text in enumerate(("a" * third, "b" * third, "c" * third, "d")):
        await label(session, await a_completed(session, organization_id, items=2), text, minute)

    assert [text[0] for text in await labelled(database, session, assessment)] == ["b", "c", "d"]


async def test_a_learners_own_answers_are_no_labels_for_them(session: AsyncSession, database: Database) -> None:
    assessment = await a_completed(session)
    earlier = await a_completed(session, user_id=assessment.user_id)
    await label(session, assessment, "this one")
    await label(session, earlier, "an earlier attempt")

    assert await labelled(database, session, assessment) == []


async def test_labels_stay_in_the_organization(session: AsyncSession, database: Database) -> None:
    assessment = await a_completed(session)
    await label(session, await a_completed(session), "of another partner")

    assert await labelled(database, session, assessment) == []


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_answers_of_the_erased_are_no_labels(session: AsyncSession, database: Database, status: str) -> None:
    organization_id = await an_organization(session)
    assessment, other = [await a_completed(session, organization_id) for _ in range(2)]
    await label(session, other, "to be forgotten")
    await session.execute(update(UserRow).where(UserRow.id == other.user_id).values(status=status))

    assert await labelled(database, session, assessment) == []


async def test_a_deleted_answer_is_no_label(session: AsyncSession, database: Database) -> None:
    organization_id = await an_organization(session)
    assessment, other = [await a_completed(session, organization_id) for _ in range(2)]
    await label(session, other, "to be forgotten")
    await session.execute(delete(ResponseRow).where(_response_to((await essays(session, other))[0])))

    assert await labelled(database, session, assessment) == []


async def test_answers_to_another_version_of_the_question_are_no_labels(
    session: AsyncSession, database: Database
) -> None:
    organization_id = await an_organization(session)
    assessment, other = [await a_completed(session, organization_id) for _ in range(2)]
    await label(session, other, "to an older question")
    item = (await essays(session, other))[0]
    await session.execute(
        update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == item.snapshot_id).values(version="v" * 64)
    )

    assert await labelled(database, session, assessment) == []


async def test_after_a_rescore_an_answer_is_a_label_of_the_version_that_scores_it(
    session: AsyncSession, database: Database
) -> None:
    organization_id = await an_organization(session)
    assessment, other = [await a_completed(session, organization_id) for _ in range(2)]
    await label(session, other, "scored by the new rubric")
    item = (await essays(session, other))[0]
    rescored = update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == item.snapshot_id)
    await session.execute(rescored.values(scored_version="n" * 64))

    async with database.transaction() as uow:
        found = await uow.reviews.labelled(assessment.id, [item.question.version, "n" * 64])

    assert {version: [anchor.text for anchor in anchors] for version, anchors in found.items()} == {
        "n" * 64: ["scored by the new rubric"]
    }


async def test_a_review_after_a_rescore_is_a_label_of_the_new_version(
    session: AsyncSession, database: Database
) -> None:
    organization_id = await an_organization(session)
    assessment, other = [await a_completed(session, organization_id) for _ in range(2)]
    item = (await essays(session, other))[0]
    rescored = update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == item.snapshot_id)
    await session.execute(rescored.values(scored_version="n" * 64))
    await a_review(session, other, item, levels=lowest(item))

    async with database.transaction() as uow:
        found = await uow.reviews.labelled(assessment.id, ["n" * 64])

    assert [anchor.levels for anchor in found["n" * 64]] == [lowest(item)]
