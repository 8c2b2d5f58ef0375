"""`async_jobs` as an operator reads it by SQL, and the outputs that steps leave in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step, submission_jobs
from domain.errors import Conflict, Erased, NotFound
from domain.grading.scores import RuleScore, RuleScores
from domain.ports import Begun, JobKey, UnitOfWorkFactory
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


async def begin(units: UnitOfWorkFactory, key: JobKey, *, pause: bool = False) -> Begun[RuleScores]:
    async with units() as unit:
        begun = await unit.jobs.begin(key, RuleScores, pause=pause)
        await unit.commit()
    return begun


async def fail(units: UnitOfWorkFactory, key: JobKey) -> None:
    async with units() as unit:
        await unit.jobs.fail(key, "STORAGE_503")
        await unit.commit()


async def release(units: UnitOfWorkFactory, key: JobKey) -> None:
    async with units() as unit:
        await unit.jobs.release([key])
        await unit.commit()


async def succeed(units: UnitOfWorkFactory, key: JobKey, output: object = SCORES) -> None:
    async with units() as unit:
        await unit.jobs.succeed(key, output)
        await unit.commit()


async def row_of(session: AsyncSession, key: JobKey) -> AsyncJobRow:
    found = await session.execute(
        select(AsyncJobRow).where(AsyncJobRow.id == key.id), execution_options={"populate_existing": True}
    )
    return found.scalar_one()


async def test_submission_queues_every_step_once(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, assessment: Assessment
) -> None:
    async with uow_factory() as unit:
        jobs = submission_jobs(assessment, await unit.assessments.items(assessment.id))
        await unit.jobs.enqueue(jobs)
        await unit.jobs.enqueue(jobs)
        await unit.commit()

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
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key)

    async with uow_factory() as unit:
        await unit.jobs.enqueue([key])
        await unit.commit()

    assert (await row_of(session, key)).status == "running"


async def test_each_attempt_counts(session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    async with uow_factory() as unit:
        await unit.jobs.enqueue([key])
        await unit.commit()

    assert (await begin(uow_factory, key)).output is None
    assert (await begin(uow_factory, key)).output is None

    row = await row_of(session, key)
    assert (row.status, row.attempts, row.started_at is not None) == ("running", 2, True)


async def test_a_finished_step_hands_back_its_output_and_is_not_run_again(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key)
    await succeed(uow_factory, key)

    assert (await begin(uow_factory, key)).output == SCORES

    row = await row_of(session, key)
    assert (row.status, row.attempts, row.completed_at is not None) == ("succeeded", 1, True)


async def test_an_attempt_that_left_its_job_running_is_counted_as_lost(
    uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    assert [(await begin(uow_factory, key)).lost for _ in range(3)] == [0, 1, 2]


async def test_an_attempt_whose_failure_was_recorded_is_not_lost(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    await begin(uow_factory, key)
    await fail(uow_factory, key)

    assert (await begin(uow_factory, key)).lost == 0


async def test_an_attempt_that_released_its_job_is_not_lost(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    await begin(uow_factory, key)
    await release(uow_factory, key)

    assert (await begin(uow_factory, key)).lost == 0


async def test_a_stale_job_counts_a_lost_attempt(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    await begin(uow_factory, key)
    async with uow_factory() as unit:
        await unit.jobs.close_stale(older_than_s=-1)
        await unit.commit()

    assert (await begin(uow_factory, key)).lost == 1


async def test_the_attempt_after_a_lost_one_can_be_paused_once(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key, pause=True)

    paused = await begin(uow_factory, key, pause=True)
    status = (await row_of(session, key)).status
    resumed = await begin(uow_factory, key, pause=True)

    assert (paused.paused, paused.lost, status) == (True, 1, "queued")
    assert (resumed.paused, resumed.lost) == (False, 1)


async def test_a_restarted_job_has_lost_nothing(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    await begin(uow_factory, key)
    await begin(uow_factory, key)
    async with uow_factory() as unit:
        await unit.jobs.restart([key])
        await unit.commit()

    assert (await begin(uow_factory, key)).lost == 0


async def test_a_failure_is_recorded_by_its_code_until_the_next_attempt(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key)
    async with uow_factory() as unit:
        await unit.jobs.fail(key, "STORAGE_503")
        await unit.commit()

    failed = await row_of(session, key)
    assert (failed.status, failed.error_payload) == ("failed", {"code": "STORAGE_503"})

    await begin(uow_factory, key)
    assert (await row_of(session, key)).status == "running"


async def test_a_late_failure_does_not_undo_a_success(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key)
    await succeed(uow_factory, key)

    async with uow_factory() as unit:
        await unit.jobs.fail(key, "STORAGE_503")
        await unit.commit()

    assert (await row_of(session, key)).status == "succeeded"


async def test_the_first_output_stays(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    await begin(uow_factory, key)
    await succeed(uow_factory, key)

    await succeed(uow_factory, key, RuleScores(scores=()))

    async with uow_factory() as unit:
        assert await unit.jobs.output(key, RuleScores) == SCORES


@pytest.mark.parametrize(
    "columns",
    [
        {"run": 2},
        {"status": "failed", "failure_reason": "bad_data"},
        {"status": "completed", "revision": 1},
    ],
    ids=["another run has begun", "the assessment failed", "the result is published"],
)
async def test_the_output_of_a_run_that_is_over_is_refused(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey, columns: dict[str, object]
) -> None:
    await begin(uow_factory, key)
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == key.assessment_id).values(**columns))

    async with uow_factory() as unit:
        with pytest.raises(Conflict):
            await unit.jobs.succeed(key, SCORES)

    assert (await row_of(session, key)).payload is None


async def test_a_later_revision_of_a_completed_assessment_takes_outputs(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await session.execute(
        update(AssessmentRow).where(AssessmentRow.id == key.assessment_id).values(status="completed", revision=1)
    )
    second = replace(key, revision=2)
    await begin(uow_factory, second)

    await succeed(uow_factory, second)

    assert (await row_of(session, second)).status == "succeeded"


async def test_nothing_is_stored_about_somebody_being_erased(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, assessment: Assessment, key: JobKey
) -> None:
    await begin(uow_factory, key)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    async with uow_factory() as unit:
        with pytest.raises(Erased):
            await unit.jobs.succeed(key, SCORES)

    assert (await row_of(session, key)).payload is None


async def test_a_step_of_no_assessment_cannot_begin(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    with pytest.raises(NotFound):
        await begin(uow_factory, replace(key, assessment_id=uuid4()))


async def test_a_step_whose_output_is_published_and_cleared_cannot_begin(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key)
    await succeed(uow_factory, key)
    await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == key.id).values(payload=None))

    with pytest.raises(Conflict):
        await begin(uow_factory, key)


async def test_outputs_are_told_by_key_and_missing_ones_left_out(uow_factory: UnitOfWorkFactory, key: JobKey) -> None:
    keys = [replace(key, step=Step.SCORE_ESSAY, item=uuid4()) for _ in range(3)]
    outputs = [RuleScores(scores=SCORES.scores * number) for number in range(3)]
    for each, output in zip(keys, outputs, strict=True):
        await begin(uow_factory, each)
        await succeed(uow_factory, each, output)

    async with uow_factory() as unit:
        assert await unit.jobs.outputs([*keys, key], RuleScores) == dict(zip(keys, outputs, strict=True))
        assert await unit.jobs.outputs([], RuleScores) == {}


async def test_a_step_without_output_means_a_run_ahead_of_the_database(
    uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    await begin(uow_factory, key)

    async with uow_factory() as unit:
        with pytest.raises(Conflict):
            await unit.jobs.output(key, RuleScores)


async def test_jobs_that_run_for_too_long_become_stale(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, key: JobKey
) -> None:
    old, young = key, replace(key, step=Step.RETRIEVE_EVIDENCE)
    await begin(uow_factory, old)
    await begin(uow_factory, young)
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == old.id).values(started_at=long_ago))

    async with uow_factory() as unit:
        assert await unit.jobs.close_stale(older_than_s=3600) == 1
        await unit.commit()

    assert (await row_of(session, old)).status == "stale"
    assert (await row_of(session, young)).status == "running"
