"""Other learners are read once for many rankings, and again after a while."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from activities.other_learners import OtherLearnersReader
from domain.errors import StorageUnavailable
from persistence.tables import FeedbackRow
from persistence.unit_of_work import SqlDatabase
from tests.support.builders import ROLE_ID, an_organization
from tests.support.earlier_learners import add_earlier_learners
from tests.support.fakes import FailingDatabase
from tests.support.statements import recorded

SKILLS = frozenset({"SQL querying", "Data cleaning"})


@pytest.fixture
async def organization_id(clean_engine: AsyncEngine, clean_database: str) -> UUID:
    """An organization with ten learners."""
    async with AsyncSession(clean_engine) as session:
        found = await an_organization(session)
        await session.commit()
    add_earlier_learners(clean_database, 10, found)
    return found


async def test_rankings_at_the_same_time_and_later_ones_share_one_reading(
    clean_engine: AsyncEngine, organization_id: UUID
) -> None:
    reader = OtherLearnersReader(SqlDatabase(clean_engine))
    with recorded(clean_engine) as sent:
        found = await asyncio.gather(*(reader.everybody(organization_id, ROLE_ID, SKILLS) for _ in range(8)))
        found.append(await reader.everybody(organization_id, ROLE_ID, frozenset(sorted(SKILLS))))

    assert len(sent) == 3
    assert {len(each.earlier.ids) for each in found} == {10}
    assert len({id(each.earlier) for each in found}) == len({id(each.reactions) for each in found}) == 1


async def test_reactions_count_after_the_greatest_age(clean_engine: AsyncEngine, organization_id: UUID) -> None:
    reader = OtherLearnersReader(SqlDatabase(clean_engine), max_age_s=0.1)
    await reader.everybody(organization_id, ROLE_ID, SKILLS)
    async with AsyncSession(clean_engine) as session:
        await session.execute(update(FeedbackRow).values(relevance_score=2))
        await session.commit()

    async def ratings() -> set[float]:
        return {*(await reader.everybody(organization_id, ROLE_ID, SKILLS)).reactions.ratings}

    async with asyncio.timeout(20):
        while await ratings() != {2}:  # noqa: ASYNC110  # the end of the age cannot be awaited
            await asyncio.sleep(0.05)


async def test_after_an_error_the_next_ranking_reads_again(clean_engine: AsyncEngine, organization_id: UUID) -> None:
    reader = OtherLearnersReader(FailingDatabase(SqlDatabase(clean_engine), [True]))
    with pytest.raises(StorageUnavailable):
        await reader.everybody(organization_id, ROLE_ID, SKILLS)

    assert len((await reader.everybody(organization_id, ROLE_ID, SKILLS)).earlier.ids) == 10
