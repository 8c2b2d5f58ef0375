"""The cost of reading earlier learners grows linearly with their number."""

from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.assessments.lifecycle import Assessment
from persistence.repositories import catalog
from persistence.repositories.catalog import MAX_REACTIONS, SqlCatalog
from persistence.tables import FeedbackRow
from tests.persistence.plans import explained, handled, nodes
from tests.support.builders import ROLE_ID, an_assessment
from tests.support.earlier_learners import add_earlier_learners
from tests.support.statements import recorded

LEARNERS = 1_000
ROWS_A_LEARNER = 60
"""Rows that each step of a plan may return or discard; each learner has five items and three reactions."""


@pytest.fixture
async def learner(clean_engine: AsyncEngine, clean_database: str) -> Assessment:
    async with AsyncSession(clean_engine) as session:
        assessment = await an_assessment(session, items=2)
        await session.commit()
    add_earlier_learners(clean_database, LEARNERS, assessment.organization_id)
    return assessment


async def test_the_cost_of_earlier_learners_grows_linearly(clean_engine: AsyncEngine, learner: Assessment) -> None:
    with recorded(clean_engine) as sent:
        async with AsyncSession(clean_engine) as session:
            reads = SqlCatalog(session)
            found = await reads.earlier_learners(learner.organization_id, ROLE_ID, ["SQL querying", "Data cleaning"])
            reactions = await reads.reactions([UUID(each) for each in found.ids])
            await reads.tallies(learner.organization_id)
            await reads.newest_reactions(learner.organization_id)
            await reads.preferences([learner.user_id, *map(UUID, found.learners)])

    assert len(found.ids) == len(reactions) == LEARNERS
    for plan in [await explained(clean_engine, *each) for each in sent]:
        assert sum(map(handled, nodes(plan))) <= ROWS_A_LEARNER * LEARNERS


async def test_only_the_newest_earlier_learners_are_read(
    clean_engine: AsyncEngine, learner: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "MAX_LEARNERS", 50)
    with recorded(clean_engine) as sent:
        async with AsyncSession(clean_engine) as session:
            found = await SqlCatalog(session).earlier_learners(learner.organization_id, ROLE_ID, ["SQL querying"])
    [statement] = sent

    assert len(found.ids) == 50
    plan = nodes(await explained(clean_engine, *statement, large=True))
    assert sum(handled(each) for each in plan if each.get("Relation Name") == "assessments") <= 2 * 50


@pytest.mark.parametrize("everywhere", [False, True])
async def test_results_that_only_others_reacted_to_do_not_lengthen_the_search_for_earlier_learners(
    clean_engine: AsyncEngine, learner: Assessment, monkeypatch: pytest.MonkeyPatch, *, everywhere: bool
) -> None:
    monkeypatch.setattr(catalog, "MAX_RESULTS", 50)
    async with AsyncSession(clean_engine) as session:
        await session.execute(update(FeedbackRow).values(submitted_by=learner.user_id, submitted_by_role="advisor"))
        await session.commit()
        with recorded(clean_engine) as sent:
            reads = SqlCatalog(session, all_organizations=everywhere)
            found = await reads.earlier_learners(learner.organization_id, ROLE_ID, ["SQL querying"])
    [statement] = sent

    assert not found.ids
    plan = nodes(await explained(clean_engine, *statement, large=True))
    read = {each["Relation Name"]: handled(each) for each in plan if "Relation Name" in each}
    assert read.keys() >= {"assessments", "recommendation_feedback"}
    assert max(read.values()) <= 3 * 50  # three reactions to each result


async def test_calibrating_reads_the_newest_reactions_and_no_others(
    clean_engine: AsyncEngine, learner: Assessment
) -> None:
    with recorded(clean_engine) as sent:
        async with AsyncSession(clean_engine) as session:
            await SqlCatalog(session).tallies(learner.organization_id)
    [statement] = sent

    plan = nodes(await explained(clean_engine, *statement, large=True))
    read = [handled(each) for each in plan if each.get("Relation Name") == "recommendation_feedback"]
    assert read == [MAX_REACTIONS] < [3 * LEARNERS]
