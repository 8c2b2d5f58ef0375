"""The reviewed levels that calibrate a language model's confidence."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.grading.model_calibration import ReviewedLevel
from persistence.tables import EssayReviewRow, EssayScoreRow, UserRow
from tests.support.builders import an_organization
from tests.support.reviewed_answers import MODEL, a_reviewed_answer

PROMPT = "p" * 64


@pytest.fixture
async def organization(session: AsyncSession) -> UUID:
    return await an_organization(session)


async def found(database: Database, organization_id: UUID) -> tuple[ReviewedLevel, ...]:
    async with database.statement() as uow:
        return await uow.reviewed_levels.of_model(organization_id, MODEL, PROMPT)


async def doubted(session: AsyncSession, organization_id: UUID, **changes: Any) -> UUID:
    return await a_reviewed_answer(session, organization_id, "An answer.", **({"needs_review": True} | changes))


@pytest.mark.parametrize(("reviewed", "confirmed"), [(1, True), (2, False)])
async def test_each_criterion_of_a_doubted_grade_says_whether_it_was_confirmed(
    session: AsyncSession, database: Database, organization: UUID, reviewed: int, *, confirmed: bool
) -> None:
    review = await doubted(session, organization, reviewed=reviewed)

    levels = await found(database, organization)

    row = (await session.execute(select(EssayReviewRow).where(EssayReviewRow.id == review))).scalar_one()
    assert {level.key.criterion for level in levels} == set(row.levels)
    assert {level.key.rubric_version for level in levels} == {row.version}
    assert {(level.confidence, level.confirmed) for level in levels} == {(Decimal("0.9"), confirmed)}


async def test_the_confidence_before_calibration_counts(
    session: AsyncSession, database: Database, organization: UUID
) -> None:
    await doubted(session, organization)
    (criterion, *_) = [level.key.criterion for level in await found(database, organization)]
    payload = {"ratings": [{"criterion": criterion, "raw_confidence": "0.45"}]}
    await session.execute(update(EssayScoreRow).where(EssayScoreRow.model == MODEL).values(response_payload=payload))

    levels = await found(database, organization)

    assert {level.confidence for level in levels if level.key.criterion == criterion} == {Decimal("0.45")}


async def test_a_sure_grade_counts_only_in_the_audit_sample(
    session: AsyncSession, database: Database, organization: UUID
) -> None:
    review = await doubted(session, organization, needs_review=False)
    before = await found(database, organization)
    await session.execute(update(EssayReviewRow).where(EssayReviewRow.id == review).values(audit_sample=True))

    assert before == ()
    assert await found(database, organization)


@pytest.mark.parametrize(
    "changes", [{"model": "gpt-other"}, {"prompt_version": "q" * 64}, {"flags": ("addressed_to_grader",)}]
)
async def test_other_models_prompts_and_flagged_essays_are_left_out(
    session: AsyncSession, database: Database, organization: UUID, changes: dict[str, Any]
) -> None:
    await doubted(session, organization, **changes)

    assert await found(database, organization) == ()


async def test_a_short_answer_counts(session: AsyncSession, database: Database, organization: UUID) -> None:
    await doubted(session, organization, flags=("too_short",))

    assert await found(database, organization)


async def test_other_organizations_and_erased_users_are_left_out(
    session: AsyncSession, database: Database, organization: UUID
) -> None:
    await doubted(session, await an_organization(session))
    await doubted(session, organization)
    await session.execute(update(UserRow).where(UserRow.organization_id == organization).values(status="erasing"))

    assert await found(database, organization) == ()
