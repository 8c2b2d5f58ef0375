import asyncio

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from activities.blend_recommendations import BlendRecommendations
from activities.publish_result import PublishResult
from activities.retrieve_evidence import RetrieveEvidence
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import Conflict, Erased, InvalidAssessmentState
from persistence.tables import (
    AssessmentRow,
    AsyncJobRow,
    EssayScoreRow,
    RecommendationRow,
    ResultRevisionRow,
    RuleScoreRow,
    UserRow,
    WebhookEventRow,
)
from persistence.unit_of_work import SqlDatabase, sessions
from tests.activities.builders import an_index, job_row, run_of, score_everything, submitted
from tests.support.fake_search import FakeEmbedder, FakeNearestLearners

PUBLISHED = {RuleScoreRow: 4, EssayScoreRow: 2, RecommendationRow: 1, ResultRevisionRow: 1, WebhookEventRow: 1}


async def rows(session: AsyncSession, assessment: Assessment) -> dict[type, int]:
    """The numbers of rows that a publication writes."""
    count = select(func.count())
    return {
        row: await session.scalar(count.where(row.assessment_id == assessment.id)) or 0
        for row in (RuleScoreRow, EssayScoreRow, RecommendationRow, ResultRevisionRow, WebhookEventRow)
    }


async def prepare(session: AsyncSession, database: Database, assessment: Assessment) -> None:
    """Run every step before the publication."""
    index = await an_index(session)
    await session.commit()
    await score_everything(database, assessment)
    await RetrieveEvidence(database, FakeEmbedder(), index).retrieve_evidence(run_of(assessment))
    await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(assessment))


@pytest.fixture
async def ready(session: AsyncSession, database: Database, assessment: Assessment) -> Assessment:
    await prepare(session, database, assessment)
    return assessment


async def test_the_outputs_become_the_result(session: AsyncSession, database: Database, ready: Assessment) -> None:
    publication = await PublishResult(database).publish_result(run_of(ready))

    assert (publication.revision, publication.degraded_reasons) == (1, ("essay_grader_not_configured",))
    assert await rows(session, ready) == PUBLISHED
    assert await session.scalar(select(AssessmentRow.status).where(AssessmentRow.id == ready.id)) == "completed"


async def test_publishing_clears_what_the_steps_left(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    await PublishResult(database).publish_result(run_of(ready))

    kept = await session.scalars(
        select(AsyncJobRow.job_type).where(AsyncJobRow.assessment_id == ready.id, AsyncJobRow.payload.is_not(None))
    )
    assert kept.all() == ["publish_result"]


async def test_publishing_again_returns_the_first_publication(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    activity = PublishResult(database)
    first = await activity.publish_result(run_of(ready))

    assert await activity.publish_result(run_of(ready)) == first

    assert await rows(session, ready) == PUBLISHED


async def test_overlapping_attempts_make_one_publication(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    async with sessions(clean_engine)() as session:
        assessment = await submitted(session)
        await prepare(session, database, assessment)
        activity = PublishResult(database)

        first, second = await asyncio.gather(*(activity.publish_result(run_of(assessment)) for _ in range(2)))

        assert first == second
        assert await rows(session, assessment) == PUBLISHED


async def test_a_step_without_an_output_publishes_nothing(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await score_everything(database, assessment)

    with pytest.raises(Conflict):
        await PublishResult(database).publish_result(run_of(assessment))

    row = await job_row(session, run_of(assessment).job(Step.PUBLISH_RESULT))
    assert (row.status, row.error_payload) == ("failed", {"code": "CONFLICT_409"})
    assert not any((await rows(session, assessment)).values())


async def test_the_attempt_after_a_failed_one_publishes(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    activity = PublishResult(database)
    with pytest.raises(Conflict):
        await activity.publish_result(run_of(assessment))
    await prepare(session, database, assessment)

    await activity.publish_result(run_of(assessment))

    row = await job_row(session, run_of(assessment).job(Step.PUBLISH_RESULT))
    assert (row.status, row.attempts, row.error_payload) == ("succeeded", 2, None)


async def test_a_run_that_failed_publishes_nothing(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    over = {"status": "failed", "failure_reason": "CorruptData"}
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == ready.id).values(**over))

    with pytest.raises(InvalidAssessmentState):
        await PublishResult(database).publish_result(run_of(ready))

    assert not any((await rows(session, ready)).values())


async def test_a_run_that_another_one_followed_publishes_nothing(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == ready.id).values(run=2))

    with pytest.raises(Conflict):
        await PublishResult(database).publish_result(run_of(ready))

    assert not any((await rows(session, ready)).values())


async def test_nothing_is_published_about_a_person_who_is_being_erased(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    await session.execute(update(UserRow).where(UserRow.id == ready.user_id).values(status="erasing"))

    with pytest.raises(Erased):
        await PublishResult(database).publish_result(run_of(ready))

    assert not any((await rows(session, ready)).values())
