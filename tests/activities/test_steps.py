"""The behaviour of every step: at least one attempt, at most one output."""

import asyncio
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.steps import MOST_LOST, RunInput, record_failures, run_step, scores
from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import AttemptLost, Conflict, Erased, ExternalServiceError, NotFound, StepGivenUp, StorageUnavailable
from domain.grading.scores import RuleScore, RuleScores
from persistence.tables import AssessmentRow, ResponseRow, UserRow
from tests.activities.builders import essays_of, job_row, run_of, score_everything
from tests.support.fakes import FailingDatabase


class Work:
    """Work that first raises `failures`, one per call, and then returns another score each time."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.done = 0

    async def __call__(self) -> RuleScores:
        if self.failures:
            raise self.failures.pop(0)
        self.done += 1
        half = Decimal("0.5")
        score = RuleScore(
            snapshot_id=uuid4(),
            points=half,
            max_points=Decimal(1),
            fraction=half,
            explanation="Half of it is right.",
            rule="single_choice",
        )
        return RuleScores(scores=(score,))


@pytest.fixture
def key(assessment: Assessment) -> JobKey:
    return run_of(assessment).job(Step.SCORE_RULES)


async def test_a_repeated_step_returns_the_stored_output_without_working_again(database: Database, key: JobKey) -> None:
    work = Work()

    first = await run_step(database, key, RuleScores, work)
    second = await run_step(database, key, RuleScores, work)

    assert second == first
    assert work.done == 1


async def test_a_failed_attempt_leaves_its_code(session: AsyncSession, database: Database, key: JobKey) -> None:
    with pytest.raises(ExternalServiceError):
        await run_step(database, key, RuleScores, Work(ExternalServiceError("Away")))

    row = await job_row(session, key)
    assert (row.status, row.error_payload, row.payload) == ("failed", {"code": "EXTERNAL_SERVICE_502"}, None)


async def test_the_attempt_after_a_failed_one_opens_the_job_again(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    work = Work(ExternalServiceError("Away"))
    with pytest.raises(ExternalServiceError):
        await run_step(database, key, RuleScores, work)

    await run_step(database, key, RuleScores, work)

    row = await job_row(session, key)
    assert (row.status, row.attempts, row.error_payload) == ("succeeded", 2, None)


@pytest.mark.parametrize("columns", [{"status": "failed", "failure_reason": "CorruptData"}, {"run": 2}])
async def test_a_step_of_a_run_that_is_over_stores_nothing(
    session: AsyncSession, database: Database, key: JobKey, columns: dict[str, object]
) -> None:
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == key.assessment_id).values(**columns))

    with pytest.raises(Conflict):
        await run_step(database, key, RuleScores, Work())

    row = await job_row(session, key)
    assert (row.status, row.payload) == ("failed", None)


async def test_nothing_is_stored_about_a_person_who_is_being_erased(
    session: AsyncSession, database: Database, assessment: Assessment, key: JobKey
) -> None:
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    with pytest.raises(Erased):
        await run_step(database, key, RuleScores, Work())

    assert (await job_row(session, key)).payload is None


async def test_a_step_of_an_assessment_that_does_not_exist_does_no_work(database: Database) -> None:
    work = Work()

    with pytest.raises(NotFound):
        await run_step(database, _unknown().job(Step.SCORE_RULES), RuleScores, work)

    assert work.done == 0


async def test_a_database_outage_does_not_hide_the_failure_of_an_attempt(
    database: Database, assessment: Assessment
) -> None:
    away = FailingDatabase(database, away=True)

    await record_failures(away, [run_of(assessment).job(Step.SCORE_RULES)], ValueError("The reason"), within_s=0)


async def test_the_failure_of_several_jobs_is_recorded_at_once(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    keys = [run_of(assessment).job(step) for step in (Step.SCORE_RULES, Step.RETRIEVE_EVIDENCE)]
    async with database.transaction() as uow:
        for key in keys:
            await uow.jobs.begin(key, RuleScores)
        await uow.commit()
    once = FailingDatabase(database, failures=[True, False], away=True)

    await record_failures(once, keys, ValueError("The reason"))

    assert [(await job_row(session, key)).status for key in keys] == ["failed", "failed"]


async def test_essay_scores_have_the_order_of_the_items_and_include_unanswered_essays(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    first, second = await essays_of(database, assessment)
    await session.execute(delete(ResponseRow).where(ResponseRow.question_snapshot_id == first))
    await score_everything(database, assessment)

    async with database.transaction() as uow:
        items = await uow.assessments.items(assessment.id)
        scored = await scores(uow, run_of(assessment), items)

    assert [(score.snapshot_id, score.model) for score in scored.essays] == [(first, "none"), (second, "local-fake")]


async def test_essay_scores_need_a_score_for_every_essay(database: Database, assessment: Assessment) -> None:
    async with database.transaction() as uow:
        items = await uow.assessments.items(assessment.id)
        with pytest.raises(Conflict):
            await scores(uow, run_of(assessment), items)


def _unknown() -> RunInput:
    return RunInput(assessment_id=uuid4(), run=1, revision=1)


class Crash(BaseException):
    """Ends an attempt without a record, like a crash of the worker."""


async def test_a_step_without_an_item_is_given_up_after_many_lost_attempts(database: Database, key: JobKey) -> None:
    attempts = 0

    async def crash() -> RuleScores:
        nonlocal attempts
        attempts += 1
        raise Crash

    for _ in range(2 * MOST_LOST):
        with pytest.raises((Crash, AttemptLost)):
            await run_step(database, key, RuleScores, crash)

    with pytest.raises(StepGivenUp):
        await run_step(database, key, RuleScores, crash)
    assert attempts == MOST_LOST


async def test_an_attempt_of_a_worker_that_is_being_stopped_is_not_lost(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    environment = ActivityEnvironment()
    environment.worker_shutdown()

    async def stopped() -> RuleScores:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await environment.run(run_step, database, key, RuleScores, stopped)

    row = await job_row(session, key)
    assert (row.status, row.error_payload) == ("failed", {"code": "CancelledError"})


async def test_an_attempt_that_ran_out_of_time_is_lost(session: AsyncSession, database: Database, key: JobKey) -> None:
    async def timed_out() -> RuleScores:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ActivityEnvironment().run(run_step, database, key, RuleScores, timed_out)

    assert (await job_row(session, key)).status == "running"


async def test_a_failure_is_recorded_once_the_database_is_back(
    session: AsyncSession, database: Database, key: JobKey
) -> None:
    with pytest.raises(StorageUnavailable):
        await run_step(away_for(database, calls=3), key, RuleScores, Work(StorageUnavailable("Away")))

    assert (await job_row(session, key)).status == "failed"


def away_for(database: Database, *, calls: int) -> Database:
    """A database that serves the first connection, which begins the step, and fails the next `calls` connections."""
    return FailingDatabase(database, [False, *[True] * calls])
