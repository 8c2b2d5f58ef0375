from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.blend_recommendations import BlendRecommendations
from activities.retrieve_evidence import RetrieveEvidence
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import Conflict
from domain.recommending.recommendations import Blend, EarlierLearners
from persistence.tables import CredentialRow, LearnerCredentialRow
from tests.activities.builders import an_index, job_row, run_of, score_everything
from tests.support.fake_search import FakeEmbedder, FakeNearestLearners


class CountingNearest(FakeNearestLearners):
    def __init__(self) -> None:
        self.calls = 0

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        self.calls += 1
        return await super().nearest(profile, learners, k)


@pytest.fixture
async def found(session: AsyncSession, database: Database, assessment: Assessment) -> Assessment:
    """An assessment with evidence."""
    await score_everything(database, assessment)
    activity = RetrieveEvidence(database, FakeEmbedder(), await an_index(session))
    await activity.retrieve_evidence(run_of(assessment))
    return assessment


async def blended(database: Database, assessment: Assessment) -> Blend:
    async with database.transaction() as uow:
        return await uow.jobs.output(run_of(assessment).job(Step.BLEND_RECOMMENDATIONS), Blend)


async def test_the_evidence_is_ranked(database: Database, found: Assessment) -> None:
    count = await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(found))

    blend = await blended(database, found)
    assert count == len(blend.items) > 0
    assert [item.position for item in blend.items] == list(range(1, count + 1))


async def test_ranking_again_returns_what_was_ranked_first(
    session: AsyncSession, database: Database, found: Assessment
) -> None:
    activity = BlendRecommendations(database, FakeNearestLearners())
    count = await activity.blend_recommendations(run_of(found))
    first = await blended(database, found)
    await session.execute(update(CredentialRow).values(active=False))

    assert await activity.blend_recommendations(run_of(found)) == count

    assert await blended(database, found) == first


async def test_a_credential_that_the_learner_holds_is_not_recommended(
    session: AsyncSession, database: Database, found: Assessment
) -> None:
    await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(found))
    held = (await blended(database, found)).items[0].credential_id
    row = {"user_id": found.user_id, "credential_id": held, "earned_at": date(2025, 1, 1)}
    await session.execute(insert(LearnerCredentialRow).values(**row))
    later = await _again(session, database, found)

    assert later.items
    assert held not in {item.credential_id for item in later.items}


async def test_without_earlier_learners_nobody_looks_for_near_ones(database: Database, found: Assessment) -> None:
    nearest = CountingNearest()

    await BlendRecommendations(database, nearest).blend_recommendations(run_of(found))

    assert nearest.calls == 0


async def test_without_evidence_there_is_nothing_to_rank(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    with pytest.raises(Conflict):
        await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(assessment))

    row = await job_row(session, run_of(assessment).job(Step.BLEND_RECOMMENDATIONS))
    assert (row.status, row.error_payload) == ("failed", {"code": "CONFLICT_409"})


async def _again(session: AsyncSession, database: Database, assessment: Assessment) -> Blend:
    """The ranking of a job that was opened again."""
    row = await job_row(session, run_of(assessment).job(Step.BLEND_RECOMMENDATIONS))
    row.status, row.payload = "failed", None
    await session.flush()
    await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(assessment))
    return await blended(database, assessment)
