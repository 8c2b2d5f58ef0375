"""`blend_recommendations` ranks and publishes in one step. `test_publish_result.py` tests the publication itself."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.blend_recommendations import BlendInput, BlendRecommendations, PublicationInput
from activities.publish_result import PublishResult
from activities.retrieve_evidence import RetrieveEvidence
from activities.steps import RunInput
from domain.assessments.lifecycle import Assessment
from domain.assessments.results import Publication
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import AttemptLost, Conflict, Erased, StorageUnavailable
from persistence.repositories.jobs import SqlJobs
from persistence.tables import AsyncJobRow, UserRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.activities.builders import an_index, enqueue, job_row, run_of, score_everything, submitted
from tests.activities.test_publish_result import PUBLISHED, rows
from tests.support.fake_search import FakeEmbedder, FakeNearestLearners
from tests.support.fakes import FailingDatabase

STEPS = (Step.SCORE_RULES, Step.SCORE_ESSAY, Step.RETRIEVE_EVIDENCE, Step.BLEND_RECOMMENDATIONS, Step.PUBLISH_RESULT)


async def prepare(session: AsyncSession, database: Database, assessment: Assessment) -> None:
    """Queue all jobs and run every step before the ranking."""
    await enqueue(session, assessment)
    index = await an_index(session)
    await session.commit()
    await score_everything(database, assessment)
    await RetrieveEvidence(database, FakeEmbedder(), index).retrieve_evidence(run_of(assessment))


@pytest.fixture
async def ready(session: AsyncSession, database: Database, assessment: Assessment) -> Assessment:
    await prepare(session, database, assessment)
    return assessment


async def publish(database: Database, assessment: Assessment) -> Publication:
    wanted = PublicationInput(run=run_of(assessment))
    publication = await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(wanted)
    assert isinstance(publication, Publication)
    return publication


async def test_the_result_is_published_and_every_job_ends(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    publication = await publish(database, ready)

    assert publication.revision == 1
    assert await rows(session, ready) == PUBLISHED
    jobs = await session.execute(
        select(AsyncJobRow.job_type, AsyncJobRow.status).where(AsyncJobRow.assessment_id == ready.id).distinct()
    )
    assert {(row.job_type, row.status) for row in jobs} == {(step, "succeeded") for step in STEPS}


async def test_only_the_publication_is_kept(session: AsyncSession, database: Database, ready: Assessment) -> None:
    await publish(database, ready)

    kept = await session.scalars(
        select(AsyncJobRow.job_type).where(AsyncJobRow.assessment_id == ready.id, AsyncJobRow.payload.is_not(None))
    )
    assert kept.all() == ["publish_result"]


async def test_publishing_again_returns_the_first_publication(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    first = await publish(database, ready)

    assert await publish(database, ready) == first

    assert await rows(session, ready) == PUBLISHED


async def test_overlapping_attempts_make_one_publication(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    async with sessions(clean_engine)() as session:
        assessment = await submitted(session)
        await prepare(session, database, assessment)

        async def attempt() -> Publication:
            try:
                return await publish(database, assessment)
            except AttemptLost:  # it found the other attempt running, and Temporal retries it
                return await publish(database, assessment)

        first, second = await asyncio.gather(attempt(), attempt())

        assert first == second
        assert await rows(session, assessment) == PUBLISHED


async def test_an_attempt_that_another_one_overtook_returns_its_publication(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    """The first attempt timed out. It publishes after the second has begun, and thereby deletes the evidence."""
    first: list[Publication] = []

    class Overtaken(BlendRecommendations):
        async def _rank(self, run: RunInput):  # type: ignore[no-untyped-def]  # noqa: ANN202
            if not first:
                async with database.statement() as uow:
                    await uow.jobs.release([run.job(Step.PUBLISH_RESULT)])
                first.append(await publish(database, ready))
            return await super()._rank(run)

    wanted = PublicationInput(run=run_of(ready))

    assert await Overtaken(database, FakeNearestLearners()).blend_recommendations(wanted) == first[0]

    assert await rows(session, ready) == PUBLISHED


async def test_without_evidence_nothing_is_published(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    with pytest.raises(Conflict, match="retrieve_evidence"):
        await publish(database, assessment)

    row = await job_row(session, run_of(assessment).job(Step.PUBLISH_RESULT))
    assert (row.status, row.error_payload) == ("failed", {"code": "CONFLICT_409"})
    assert not any((await rows(session, assessment)).values())


async def test_nothing_is_published_about_a_person_who_is_being_erased(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    await session.execute(update(UserRow).where(UserRow.id == ready.user_id).values(status="erasing"))

    with pytest.raises(Erased):
        await publish(database, ready)

    assert not any((await rows(session, ready)).values())


async def test_a_lost_attempt_delays_the_next_one(session: AsyncSession, database: Database, ready: Assessment) -> None:
    await SqlJobs(session).begin(run_of(ready).job(Step.PUBLISH_RESULT), Publication)

    with pytest.raises(AttemptLost):
        await publish(database, ready)
    await publish(database, ready)

    row = await job_row(session, run_of(ready).job(Step.PUBLISH_RESULT))
    assert (row.status, row.lost_attempts) == ("succeeded", 1)


async def test_a_ranking_that_an_earlier_build_stored_is_published(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    """As after a rollout that ended the run between two steps."""
    await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(ready))

    await publish(database, ready)

    assert await rows(session, ready) == PUBLISHED


async def test_an_earlier_build_publishes_after_an_attempt_of_this_one(
    session: AsyncSession, database: Database, ready: Assessment
) -> None:
    """As after a rollback during the step."""
    wanted = PublicationInput(run=run_of(ready))
    # The database is away when the ranking is read, and the attempt is recorded as failed.
    away = FailingDatabase(database, [False, True])
    with pytest.raises(StorageUnavailable):
        await BlendRecommendations(away, FakeNearestLearners()).blend_recommendations(wanted)

    await BlendRecommendations(database, FakeNearestLearners()).blend_recommendations(run_of(ready))
    await PublishResult(database).publish_result(run_of(ready))

    assert await rows(session, ready) == PUBLISHED


@pytest.mark.parametrize("input_of", [lambda run: run, lambda run: PublicationInput(run=run)])
async def test_the_input_tells_which_build_started_the_run(input_of: Callable[[RunInput], BlendInput]) -> None:
    wanted = input_of(RunInput(assessment_id=UUID(int=7), run=1, revision=1))
    payloads = await pydantic_data_converter.encode([wanted])

    assert await pydantic_data_converter.decode(payloads, [BlendInput]) == [wanted]  # type: ignore[list-item]


async def test_an_earlier_build_cannot_read_the_input_of_a_publication() -> None:
    wanted = PublicationInput(run=RunInput(assessment_id=UUID(int=7), run=1, revision=1))
    payloads = await pydantic_data_converter.encode([wanted])

    with pytest.raises(ValidationError):
        await pydantic_data_converter.decode(payloads, [RunInput])
