"""Reviewed answers as examples for a language model, and the stored choices."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.grading.examples import ReviewedAnswer
from domain.grading.ledger import CompletionKey
from domain.grading.model_grading import Call, Variant
from persistence.repositories.grading_examples import MAX_CANDIDATES
from persistence.tables import EssayReviewRow, QuestionSnapshotRow, ResponseRow, UserRow
from tests.support.builders import a_user, an_assessment, an_organization
from tests.support.reviewed_answers import a_review, a_reviewed_answer, first_essay, levels_of


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await an_assessment(session, items=2)


@pytest.fixture
async def key(session: AsyncSession, assessment: Assessment) -> CompletionKey:
    item = await first_essay(session, assessment.id)
    return CompletionKey(
        assessment_id=assessment.id,
        snapshot_id=item.snapshot_id,
        rubric_version=item.question.version,
        prompt_version="p" * 64,
        model="gpt-test",
        epoch=0,
        call=Call(0, 0, Variant.FULL),
    )


async def candidates(database: Database, key: CompletionKey) -> tuple[ReviewedAnswer, ...]:
    async with database.transaction() as uow:
        return await uow.grading_examples.candidates(key)


async def reviewed(database: Database, key: CompletionKey, *reviews: UUID) -> tuple[ReviewedAnswer, ...]:
    async with database.transaction() as uow:
        return await uow.grading_examples.reviewed(key, reviews)


async def snapshot_of(session: AsyncSession, review_id: UUID) -> UUID:
    found = await session.scalar(select(EssayReviewRow.question_snapshot_id).where(EssayReviewRow.id == review_id))
    assert found
    return found


async def test_a_candidate_has_what_the_choice_needs(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    review_id = await a_reviewed_answer(
        session,
        assessment.organization_id,
        "Another answer.",
        given=0,
        reviewed=2,
        flags=("repeated",),
        email="ada@example.org",
        name="Ada Lovelace",
    )

    (candidate,) = await candidates(database, key)

    assert candidate == ReviewedAnswer(
        review_id=review_id,
        text="Another answer.",
        levels=levels_of(await first_essay(session, assessment.id), 2),
        moved=True,
        flags=("repeated",),
        author_name="Ada Lovelace",
        author_email="ada@example.org",
    )
    assert await reviewed(database, key, review_id) == (candidate,)


@pytest.mark.parametrize(
    ("given", "model", "moved"), [(1, "gpt-test", False), (0, "gpt-test", True), (0, "local-minilm-1", False)]
)
async def test_a_review_moved_a_level_only_if_a_language_model_had_given_another(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    key: CompletionKey,
    *,
    given: int,
    model: str,
    moved: bool,
) -> None:
    await a_reviewed_answer(session, assessment.organization_id, "An answer.", given=given, reviewed=1, model=model)

    assert [each.moved for each in await candidates(database, key)] == [moved]


async def test_the_newest_review_of_an_answer_counts_but_a_chosen_one_stays_readable(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    first = await a_reviewed_answer(session, assessment.organization_id, "An answer.", reviewed=1)
    row = (await session.execute(select(EssayReviewRow).where(EssayReviewRow.id == first))).scalar_one()
    items = await first_essay(session, row.assessment_id)
    newest = await a_review(session, items, row.assessment_id, row.reviewer_id, place=2, minutes=1)

    assert [each.review_id for each in await candidates(database, key)] == [newest]
    assert [each.levels for each in await reviewed(database, key, first)] == [levels_of(items, 1)]


async def test_only_the_newest_answers_are_candidates(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    for minute in range(MAX_CANDIDATES + 1):
        await a_reviewed_answer(session, assessment.organization_id, f"answer {minute}", minutes=minute)

    found = {each.text for each in await candidates(database, key)}

    assert found == {f"answer {minute}" for minute in range(1, MAX_CANDIDATES + 1)}


async def test_chosen_answers_come_in_the_order_of_the_choice(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    reviews = [await a_reviewed_answer(session, assessment.organization_id, f"answer {n}") for n in range(3)]

    found = await reviewed(database, key, reviews[2], reviews[0], uuid4())

    assert [each.review_id for each in found] == [reviews[2], reviews[0]]


async def _own(session: AsyncSession, assessment: Assessment) -> UUID:
    return await a_reviewed_answer(session, assessment.organization_id, "Mine.", user_id=assessment.user_id)


async def _of_another_organization(session: AsyncSession, assessment: Assessment) -> UUID:
    del assessment
    return await a_reviewed_answer(session, await an_organization(session), "Of another partner.")


async def _of_an_erased_user(session: AsyncSession, assessment: Assessment) -> UUID:
    user_id = await a_user(session, assessment.organization_id)
    review_id = await a_reviewed_answer(session, assessment.organization_id, "Erased.", user_id=user_id)
    await session.execute(update(UserRow).where(UserRow.id == user_id).values(status="erasing"))
    return review_id


async def _deleted(session: AsyncSession, assessment: Assessment) -> UUID:
    review_id = await a_reviewed_answer(session, assessment.organization_id, "Deleted.")
    snapshot_id = await snapshot_of(session, review_id)
    await session.execute(delete(ResponseRow).where(ResponseRow.question_snapshot_id == snapshot_id))
    return review_id


async def _to_another_version(session: AsyncSession, assessment: Assessment) -> UUID:
    review_id = await a_reviewed_answer(session, assessment.organization_id, "To an older question.")
    snapshot_id = await snapshot_of(session, review_id)
    await session.execute(
        update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == snapshot_id).values(version="v" * 64)
    )
    return review_id


@pytest.mark.parametrize("answer", [_own, _of_another_organization, _of_an_erased_user, _deleted, _to_another_version])
async def test_an_answer_that_must_not_be_used_is_not_read(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    key: CompletionKey,
    answer: object,
) -> None:
    assert callable(answer)
    review_id = await answer(session, assessment)

    assert await candidates(database, key) == ()
    assert await reviewed(database, key, review_id) == ()


async def test_after_a_rescore_an_answer_is_a_candidate_for_the_version_that_scores_it(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    review_id = await a_reviewed_answer(session, assessment.organization_id, "An answer.")
    rescored = update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == await snapshot_of(session, review_id))
    await session.execute(rescored.values(scored_version="n" * 64))

    assert await candidates(database, key) == ()
    assert [each.review_id for each in await candidates(database, replace(key, rubric_version="n" * 64))] == [review_id]


async def test_the_first_stored_choice_stays(database: Database, key: CompletionKey) -> None:
    first, second = (uuid4(), uuid4()), (uuid4(),)
    async with database.transaction() as uow:
        assert await uow.grading_examples.chosen(key) is None
        assert await uow.grading_examples.choose(key, first) == first
        assert await uow.grading_examples.choose(key, second) == first
        assert await uow.grading_examples.chosen(key) == first


async def test_a_dropped_choice_is_a_choice_without_examples(database: Database, key: CompletionKey) -> None:
    async with database.transaction() as uow:
        await uow.grading_examples.choose(key, [uuid4()])
        await uow.grading_examples.drop(key)

        assert await uow.grading_examples.chosen(key) == ()


async def test_all_calls_for_an_essay_have_one_choice_and_each_epoch_has_its_own(
    database: Database, key: CompletionKey
) -> None:
    async with database.transaction() as uow:
        await uow.grading_examples.choose(key, [uuid4()])

        other_call = replace(key, call=Call(1, 1, Variant.STRIPPED), examples=(uuid4(),))
        assert await uow.grading_examples.chosen(other_call) == await uow.grading_examples.chosen(key)
        assert await uow.grading_examples.chosen(replace(key, epoch=1)) is None


def test_examples_change_the_key_of_a_call_and_no_examples_do_not(key: CompletionKey) -> None:
    shown = replace(key, examples=(uuid4(),))

    assert key.prompt_hash == key.prompt_version
    assert len({key.id, shown.id, replace(key, examples=(uuid4(),)).id}) == 3
    assert len(shown.prompt_hash) == 64
