"""`async_jobs`: the state of steps that operators read by SQL, and the outputs of steps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import Begun, JobKey
from domain.assessments.steps import Step, submission_jobs
from domain.database import Database
from domain.errors import Conflict, Erased, NotFound
from domain.grading.scores import RuleScore, RuleScores
from persistence.tables import AssessmentRow, AsyncJobRow, UserRow
from tests.support.builders import an_assessment

SCORES = RuleScores(
    scores=(
        RuleScore(
            snapshot_id=uuid4(),
            points=Decimal("0.3333"),
            max_points=Decimal(1),
            fraction=Decimal("0.3333"),
            explanation="A third.",
            rule="partial_credit",
        ),
    )
)


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await an_assessment(session, status="awaiting_async", submitted_at=datetime.now(UTC))


@pytest.fixture
def key(assessment: Assessment) -> JobKey:
    return JobKey(assessment_id=assessment.id, run=1, revision=1, step=Step.SCORE_RULES)


async def begin(database: Database, key: JobKey, *, pause: bool = False) -> Begun[RuleScores]:
    async with database.transaction() as uow:
        begun = await uow.jobs.begin(key, RuleScores, pause=pause)
        await uow.commit()
    return begun


async def fail(database: Database, key: JobKey) -> None:
    async with database.transaction() as uow:
        await uow.jobs.fail([key], "STORAGE_503")
        await uow.commit()


async def release(database: Database, key: JobKey) -> None:
    async with database.transaction() as uow:
        await uow.jobs.release([key])
        await uow.commit()


async def succeed(database: Database, key: JobKey, output: object = SCORES) -> None:
    async with database.transaction() as uow:
        await uow.jobs.succeed(key, output)
        await uow.commit()


async def row_of(session: AsyncSession, key: JobKey) -> AsyncJobRow:
    found = await session.execute(
        select(AsyncJobRow).where(AsyncJobRow.id == key.id), execution_options={"populate_existing": True}
    )
    return found.scalar_one()


async def test_submission_queues_every_step_once(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    async with database.transaction() as uow:
        jobs = submission_jobs(assessment, await uow.assessments.items(assessment.id))
        await uow.jobs.enqueue(jobs)
        await uow.jobs.enqueue(jobs)
        await uow.commit()

    counted = await session.execute(
        select(AsyncJobRow.job_type, func.count())
        .where(AsyncJobRow.assessment_id == assessment.id, AsyncJobRow.status == "queued")
        .group_by(AsyncJobRow.job_type)
    )
    assert dict(counted.all()) == {
        "score_rules": 1,
        "score_essay": 2,
        "retrieve_evidence": 1,
        "blend_recommendations": 1,
        "publish_result": 1,
    }


async def test_queueing_again_leaves_a_running_job_alone(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    await begin(database, key)

    async with database.transaction() as uow:
        await uow.jobs.enqueue([key])
        await uow.commit()

    assert (await row_of(session, key)).status == "running"


async def test_each_attempt_counts(session: AsyncSession, database: Database, key: JobKey) -> None:
    async with database.transaction() as uow:
        await uow.jobs.enqueue([key])
        await uow.commit()

    assert (await begin(database, key)).output is None
    assert (await begin(database, key)).output is None

    row = await row_of(session, key)
    assert (row.status, row.attempts, row.started_at is not None) == ("running", 2, True)


async def test_a_finished_step_returns_its_output_and_does_not_run_again(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    await begin(database, key)
    await succeed(database, key)

    assert (await begin(database, key)).output == SCORES

    row = await row_of(session, key)
    assert (row.status, row.attempts, row.completed_at is not None) == ("succeeded", 1, True)


async def test_an_attempt_that_left_its_job_running_is_counted_as_lost(database: Database, key: JobKey) -> None:
    assert [(await begin(database, key)).lost for _ in range(3)] == [0, 1, 2]


async def test_an_attempt_whose_failure_was_recorded_is_not_lost(database: Database, key: JobKey) -> None:
    await begin(database, key)
    await fail(database, key)

    assert (await begin(database, key)).lost == 0


async def test_an_attempt_that_released_its_job_is_not_lost(database: Database, key: JobKey) -> None:
    await begin(database, key)
    await release(database, key)

    assert (await begin(database, key)).lost == 0


async def test_a_stale_job_counts_a_lost_attempt(database: Database, key: JobKey) -> None:
    await begin(database, key)
    async with database.transaction() as uow:
        await uow.jobs.close_stale(older_than_s=-1)
        await uow.commit()

    assert (await begin(database, key)).lost == 1


async def test_the_attempt_after_a_lost_one_can_be_paused_once(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    await begin(database, key, pause=True)

    paused = await begin(database, key, pause=True)
    status = (await row_of(session, key)).status
    resumed = await begin(database, key, pause=True)

    assert (paused.paused, paused.lost, status) == (True, 1, "queued")
    assert (resumed.paused, resumed.lost) == (False, 1)


async def test_a_restarted_job_has_lost_nothing(database: Database, key: JobKey) -> None:
    await begin(database, key)
    await begin(database, key)
    async with database.transaction() as uow:
        await uow.jobs.restart([key])
        await uow.commit()

    assert (await begin(database, key)).lost == 0


async def test_a_failure_is_recorded_by_its_code_until_the_next_attempt(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    await begin(database, key)
    async with database.transaction() as uow:
        await uow.jobs.fail([key], "STORAGE_503")
        await uow.commit()

    failed = await row_of(session, key)
    assert (failed.status, failed.error_payload) == ("failed", {"code": "STORAGE_503"})

    await begin(database, key)
    assert (await row_of(session, key)).status == "running"


async def test_a_late_failure_does_not_undo_a_success(session: AsyncSession, database: Database, key: JobKey) -> None:
    await begin(database, key)
    await succeed(database, key)

    async with database.transaction() as uow:
        await uow.jobs.fail([key], "STORAGE_503")
        await uow.commit()

    assert (await row_of(session, key)).status == "succeeded"


async def test_the_first_output_stays(database: Database, key: JobKey) -> None:
    await begin(database, key)
    await succeed(database, key)

    await succeed(database, key, RuleScores(scores=()))

    async with database.transaction() as uow:
        assert await uow.jobs.output(key, RuleScores) == SCORES


@pytest.mark.parametrize(
    "columns",
    [
        {"run": 2},
        {"status": "failed", "failure_reason": "bad_data"},
        {"status": "completed", "revision": 1},
    ],
    ids=["another run has begun", "the assessment failed", "the result is published"],
)
async def test_the_output_of_an_ended_run_is_refused(
    session: AsyncSession, database: Database, key: JobKey, columns: dict[str, object]
) -> None:
    await begin(database, key)
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == key.assessment_id).values(**columns))

    async with database.transaction() as uow:
        with pytest.raises(Conflict):
            await uow.jobs.succeed(key, SCORES)

    assert (await row_of(session, key)).payload is None


async def test_a_later_revision_of_a_completed_assessment_takes_outputs(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    await session.execute(
        update(AssessmentRow).where(AssessmentRow.id == key.assessment_id).values(status="completed", revision=1)
    )
    second = replace(key, revision=2)
    await begin(database, second)

    await succeed(database, second)

    assert (await row_of(session, second)).status == "succeeded"


async def test_nothing_is_stored_about_a_user_being_erased(
    session: AsyncSession, database: Database, assessment: Assessment, key: JobKey
) -> None:
    await begin(database, key)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    async with database.transaction() as uow:
        with pytest.raises(Erased):
            await uow.jobs.succeed(key, SCORES)

    assert (await row_of(session, key)).payload is None


async def test_a_step_of_a_missing_assessment_cannot_begin(database: Database, key: JobKey) -> None:
    with pytest.raises(NotFound):
        await begin(database, replace(key, assessment_id=uuid4()))


async def test_a_step_whose_output_is_published_and_cleared_cannot_begin(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    await begin(database, key)
    await succeed(database, key)
    await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == key.id).values(payload=None))

    with pytest.raises(Conflict):
        await begin(database, key)


async def test_outputs_are_returned_by_key_without_missing_ones(database: Database, key: JobKey) -> None:
    keys = [replace(key, step=Step.SCORE_ESSAY, item=uuid4()) for _ in range(3)]
    outputs = [RuleScores(scores=SCORES.scores * number) for number in range(3)]
    for each, output in zip(keys, outputs, strict=True):
        await begin(database, each)
        await succeed(database, each, output)

    async with database.transaction() as uow:
        assert await uow.jobs.outputs([*keys, key], RuleScores) == dict(zip(keys, outputs, strict=True))
        assert await uow.jobs.outputs([], RuleScores) == {}


async def test_many_jobs_begin_and_end_together(database: Database, key: JobKey) -> None:
    done, lost, new = (replace(key, step=Step.SCORE_ESSAY, item=uuid4()) for _ in range(3))
    await begin(database, done)
    await succeed(database, done)
    await begin(database, lost)

    async with database.statement() as uow:
        begun = await uow.jobs.begin_all([new, done, lost], RuleScores, pause=True)
        await uow.jobs.succeed_all({new: SCORES, lost: RuleScores(scores=()), done: RuleScores(scores=())})
        outputs = await uow.jobs.outputs([done, lost, new], RuleScores)

    assert begun == {new: Begun(), done: Begun(output=SCORES), lost: Begun(lost=1, paused=True)}
    assert outputs == {done: SCORES, lost: RuleScores(scores=()), new: SCORES}


async def test_a_step_without_output_means_a_run_ahead_of_the_database(database: Database, key: JobKey) -> None:
    await begin(database, key)

    async with database.transaction() as uow:
        with pytest.raises(Conflict):
            await uow.jobs.output(key, RuleScores)


async def test_jobs_that_run_for_too_long_become_stale(session: AsyncSession, database: Database, key: JobKey) -> None:
    old, young = key, replace(key, step=Step.RETRIEVE_EVIDENCE)
    await begin(database, old)
    await begin(database, young)
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == old.id).values(started_at=long_ago))

    async with database.transaction() as uow:
        assert await uow.jobs.close_stale(older_than_s=3600) == 1
        await uow.commit()

    assert (await row_of(session, old)).status == "stale"
    assert (await row_of(session, young)).status == "running"
