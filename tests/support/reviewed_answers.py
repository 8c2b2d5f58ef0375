"""Reviewed answers of other students, as examples for a language model."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.questions import EssayRubric, Item
from persistence.repositories.assessments import SqlAssessments
from persistence.tables import EssayReviewRow, EssayScoreRow, ResponseRow, ResultRevisionRow
from tests.support.builders import a_user, an_assessment

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MODEL = "gpt-test"


async def first_essay(session: AsyncSession, assessment_id: UUID) -> Item:
    items = await SqlAssessments(session).items(assessment_id)
    return next(item for item in items if isinstance(item.question.rubric, EssayRubric))


def levels_of(item: Item, place: int) -> dict[str, str]:
    """Return the same place in the list of levels for every criterion."""
    assert isinstance(item.question.rubric, EssayRubric)
    return {criterion.key: criterion.levels[place].name for criterion in item.question.rubric.criteria}


async def a_reviewed_answer(
    session: AsyncSession,
    organization_id: UUID,
    text: str,
    *,
    given: int = 1,
    reviewed: int = 1,
    model: str = MODEL,
    prompt_version: str = "p" * 64,
    needs_review: bool = False,
    flags: tuple[str, ...] = (),
    minutes: int = 0,
    user_id: UUID | None = None,
    **user: Any,
) -> UUID:
    """Insert an answer to the first essay, the grader's levels, and a review. Return the review's id.

    `given` and `reviewed` are places in the list of levels. `minutes` is the time of the review.
    """
    user_id = user_id or await a_user(session, organization_id, **user)
    other = await an_assessment(session, user_id=user_id, items=2, status="completed", revision=1)
    item = await first_essay(session, other.id)
    await session.execute(
        update(ResponseRow).where(ResponseRow.question_snapshot_id == item.snapshot_id).values(answer=text)
    )
    criteria = [{"criterion": key, "level": level, "confidence": 0.9} for key, level in levels_of(item, given).items()]
    score = {
        "question_id": str(item.question.id),
        "model": model,
        "prompt_version": prompt_version,
        "reviewed": False,
        "needs_review": needs_review,
        "flags": list(flags),
        "criteria": criteria,
    }
    await session.execute(
        insert(ResultRevisionRow).values(
            assessment_id=other.id,
            revision=1,
            document={"scores": [{"question_id": str(uuid4())}, score]},
            created_at=NOON - timedelta(days=1),
        )
    )
    of = {"assessment_id": other.id, "question_snapshot_id": item.snapshot_id}
    await session.execute(
        insert(EssayScoreRow).values(
            id=uuid4(),
            **of,
            model=model,
            prompt_version=prompt_version,
            latency_ms=1,
            response_payload={"flags": list(flags)},
        )
    )
    return await a_review(session, item, other.id, user_id, place=reviewed, minutes=minutes)


async def a_review(
    session: AsyncSession, item: Item, assessment_id: UUID, reviewer_id: UUID, *, place: int, minutes: int = 0
) -> UUID:
    review_id = uuid4()
    await session.execute(
        insert(EssayReviewRow).values(
            id=review_id,
            assessment_id=assessment_id,
            question_snapshot_id=item.snapshot_id,
            reviewer_id=reviewer_id,
            levels=levels_of(item, place),
            created_at=NOON + timedelta(minutes=minutes),
        )
    )
    return review_id
