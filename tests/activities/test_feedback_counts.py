"""Feedback of earlier learners changes the recommendations of the next learner."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from activities.adapters.knn import KnnNearestLearners
from activities.blend_recommendations import BlendRecommendations
from activities.retrieve_evidence import RetrieveEvidence
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.recommending.calibration import LEAST_REACTIONS, Tally
from domain.recommending.ranking import ITEMS
from domain.recommending.recommendations import Blend
from persistence.tables import FeedbackRow, RecommendationItemRow, RecommendationRow
from tests.activities.builders import an_index, run_of, score_everything, submitted
from tests.support.builders import a_user, an_assessment, an_organization, some_credentials
from tests.support.fake_search import FakeEmbedder, InMemoryCredentialIndex
from tests.support.rolled_back_database import RolledBackDatabase

WEIGHTS = {"gap_coverage": 0.75, "similarity": 0.25}
FEATURES = {"gap_coverage": 0.4, "similarity": 0.8}
SCORE = 0.5
"""The weighted sum of the features."""


async def a_recommendation(session: AsyncSession, organization_id: UUID, credentials: Sequence[UUID]) -> dict[str, Any]:
    """Recommend these credentials to a new learner; return the columns that all feedback on it shares."""
    user_id = await a_user(session, organization_id)
    now = datetime.now(UTC)
    assessment = await an_assessment(
        session, user_id=user_id, items=2, status="completed", revision=1, completed_at=now
    )
    shown = {"id": uuid4(), "assessment_id": assessment.id, "revision": 1, "summary": "", "status": "ready"}
    profile = {"generated_at": now, "metrics": {"blend_weights": WEIGHTS}, "skills": {"SQL querying": "1.0"}}
    await session.execute(insert(RecommendationRow).values(**shown, **profile))
    rows = [
        {
            "id": uuid4(),
            "recommendation_id": shown["id"],
            "credential_id": each,
            "title": "",
            "confidence": 0.9,
            "rationale": "",
            "source_trace_ids": [],
            "features": FEATURES,
            "position": position,
        }
        for position, each in enumerate(credentials, start=1)
    ]
    await session.execute(insert(RecommendationItemRow), rows)
    return {
        "recommendation_id": shown["id"],
        "revision": 1,
        "submitted_by": user_id,
        "submitted_by_role": "student",
    }


async def say(session: AsyncSession, of: dict[str, Any], **said: Any) -> None:
    await session.execute(
        insert(FeedbackRow).values(**({"id": uuid4(), "submitted_at": datetime.now(UTC)} | of | said))
    )


async def tallies(database: Database, assessment: Assessment) -> tuple[Tally, ...]:
    async with database.transaction() as uow:
        return await uow.catalog.tallies(assessment.organization_id)


async def blended(
    session: AsyncSession, database: Database, organization_id: UUID, index: InMemoryCredentialIndex
) -> Blend:
    """The result of a new learner of the organization who answers everything but the essays correctly."""
    learner = await submitted(session, user_id=await a_user(session, organization_id))
    await score_everything(database, learner)
    await RetrieveEvidence(database, FakeEmbedder(), index).retrieve_evidence(run_of(learner))
    await BlendRecommendations(database, KnnNearestLearners()).blend_recommendations(run_of(learner))
    async with database.transaction() as uow:
        return await uow.jobs.output(run_of(learner).job(Step.BLEND_RECOMMENDATIONS), Blend)


async def test_a_credential_that_many_rejected_ranks_lower_for_the_next_learner(
    session: AsyncSession, database: Database
) -> None:
    organization_id, index = await an_organization(session), await an_index(session)
    before = await blended(session, database, organization_id, index)
    # A prerequisite stays before the credential that needs it, whatever its feedback.
    disliked = next(item for item in before.items if item.evidence == (item.credential_id,))
    others = [item.credential_id for item in before.items if item != disliked]
    for _ in range(LEAST_REACTIONS):
        shown = await a_recommendation(session, organization_id, [disliked.credential_id, *others])
        await say(session, shown, credential_id=disliked.credential_id, acceptance_status="rejected", relevance_score=1)
        for each in others:
            await say(session, shown, credential_id=each, acceptance_status="accepted", relevance_score=5)

    after = await blended(session, database, organization_id, index)

    assert after.weights["neighbours"] > before.weights["neighbours"] == 0
    places = {item.credential_id: item.position for item in after.items}
    assert places.get(disliked.credential_id, ITEMS + 1) > disliked.position
    assert (before.confidence_basis, after.calibrated_on) == ("uncalibrated", LEAST_REACTIONS * len(before.items))


async def test_a_reaction_is_counted_with_the_score_that_was_shown(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    credentials = await some_credentials(session, 2)
    shown = await a_recommendation(session, assessment.organization_id, credentials)
    await say(session, shown, credential_id=credentials[0], relevance_score=4)
    await say(session, shown, credential_id=credentials[1], relevance_score=5, acceptance_status="rejected")

    assert await tallies(database, assessment) == (Tally(score=SCORE, reactions=2.0, liked=1.0),)


async def test_a_reaction_to_a_whole_list_counts_once(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    shown = await a_recommendation(session, assessment.organization_id, await some_credentials(session, 4))
    await say(session, shown, relevance_score=5)

    assert await tallies(database, assessment) == (Tally(score=SCORE, reactions=1.0, liked=1.0),)


async def test_the_last_reaction_to_a_credential_counts(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    (credential,) = await some_credentials(session, 1)
    shown = await a_recommendation(session, assessment.organization_id, [credential])
    later = datetime.now(UTC) + timedelta(minutes=1)
    await say(session, shown, credential_id=credential, relevance_score=2)
    await say(session, shown, credential_id=credential, relevance_score=5, submitted_at=later)
    await say(session, shown, relevance_score=1, submitted_at=later)

    assert await tallies(database, assessment) == (Tally(score=SCORE, reactions=1.0, liked=1.0),)


@pytest.mark.parametrize("other", [{"revision": 2}, {"submitted_by_role": "advisor"}])
async def test_reactions_of_others_and_to_other_revisions_do_not_count(
    session: AsyncSession, database: Database, assessment: Assessment, other: dict[str, Any]
) -> None:
    shown = await a_recommendation(session, assessment.organization_id, await some_credentials(session, 1))
    await say(session, shown, relevance_score=5, **other)

    assert await tallies(database, assessment) == ()


async def test_reactions_in_other_organizations_count_only_when_told_so(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession], assessment: Assessment
) -> None:
    elsewhere = await an_organization(session)
    await say(
        session, await a_recommendation(session, elsewhere, await some_credentials(session, 1)), relevance_score=5
    )

    assert await tallies(RolledBackDatabase(session_factory), assessment) == ()
    everywhere = RolledBackDatabase(session_factory, all_organizations=True)
    assert await tallies(everywhere, assessment) == (Tally(score=SCORE, reactions=1.0, liked=1.0),)
