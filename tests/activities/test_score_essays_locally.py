import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.essays import MOST_LOST
from activities.score_essays_locally import AT_ONCE, EssaysInput, EssaysResult, ScoreEssaysLocally
from activities.steps import PAUSE_S
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import AttemptLost, Conflict, CorruptData, ExternalServiceError, StorageUnavailable
from domain.grading.rubrics import Essay
from domain.grading.scores import DegradedReason, EssayScore
from persistence.tables import AssessmentRow, AsyncJobRow, QuestionSnapshotRow
from tests.activities.builders import CountingGrader, essays_of, job_row, left, run_of, submitted


@pytest.fixture
async def batch(database: Database, assessment: Assessment) -> EssaysInput:
    return EssaysInput(run=run_of(assessment), essays=left(await essays_of(database, assessment)))


async def jobs(session: AsyncSession, batch: EssaysInput) -> list[AsyncJobRow]:
    return [await job_row(session, batch.run.job(Step.SCORE_ESSAY, left.essay)) for left in batch.essays]


async def without_anchors(session: AsyncSession, essay: UUID) -> None:
    """Remove the labelled answers of the essay, so that the fake grader does not grade it."""
    values = {"rubric": QuestionSnapshotRow.rubric.op("||")({"anchors": []}), "version": "without-anchors"}
    await session.execute(update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == essay).values(**values))


async def test_all_essays_are_graded_in_one_batch_and_each_closes_its_job(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    grader = CountingGrader()

    result = await ScoreEssaysLocally(database, grader).score_essays_locally(batch)

    assert result == EssaysResult(scored=2, needs_review=0)
    assert grader.batches == [[left.essay for left in batch.essays]]
    assert [row.status for row in await jobs(session, batch)] == ["succeeded", "succeeded"]


async def test_an_abstention_waits_for_a_person(session: AsyncSession, database: Database, batch: EssaysInput) -> None:
    await without_anchors(session, batch.essays[0].essay)

    result = await ScoreEssaysLocally(database, CountingGrader()).score_essays_locally(batch)

    assert (result.scored, result.needs_review) == (2, 1)


@pytest.mark.parametrize(
    ("reason", "reviewed"),
    [
        (DegradedReason.ESSAY_REFUSED_BY_PROVIDER, 1),
        (DegradedReason.ESSAY_TOO_LONG_FOR_MODEL, 1),
        (DegradedReason.ESSAY_GRADER_LOCAL, 0),
    ],
)
async def test_an_essay_that_the_model_will_never_grade_waits_for_a_person_whatever_its_score(
    database: Database, batch: EssaysInput, reason: DegradedReason, reviewed: int
) -> None:
    first, second = batch.essays

    result = await ScoreEssaysLocally(database, CountingGrader()).score_essays_locally(
        replace(batch, essays=(replace(first, reason=reason), second))
    )

    assert result == EssaysResult(scored=2, needs_review=reviewed)


async def test_a_repetition_grades_nothing_and_says_the_same(database: Database, batch: EssaysInput) -> None:
    grader = CountingGrader()
    activity = ScoreEssaysLocally(database, grader)

    assert await activity.score_essays_locally(batch) == await activity.score_essays_locally(batch)

    assert len(grader.batches) == 1


async def test_only_essays_without_a_score_are_graded(database: Database, batch: EssaysInput) -> None:
    grader = CountingGrader()
    activity = ScoreEssaysLocally(database, grader)
    first, second = batch.essays
    await activity.score_essays_locally(replace(batch, essays=(first,)))

    await activity.score_essays_locally(batch)

    assert grader.batches == [[first.essay], [second.essay]]


class Poisoned(CountingGrader):
    """Raises an error whenever it grades one of the `poisoned` essays."""

    def __init__(self, *poisoned: UUID) -> None:
        super().__init__()
        self.poisoned = poisoned

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        scores = await super().grade(essays)
        if any(essay.snapshot_id in self.poisoned for essay in essays):
            raise ValueError("poison")
        return scores


async def test_an_essay_that_alone_raises_an_unexpected_error_is_left_to_a_reviewer(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    poisoned, other = (left.essay for left in batch.essays)
    grader = Poisoned(poisoned)

    result = await ScoreEssaysLocally(database, grader).score_essays_locally(batch)

    assert result == EssaysResult(scored=2, needs_review=1)
    assert grader.batches == [[poisoned, other], [poisoned], [other]]
    rows = await jobs(session, batch)
    reasons = [row.payload and row.payload["degraded_reason"] for row in rows]
    assert reasons == ["grader_failed", "essay_grader_not_configured"]


async def test_a_bug_that_hits_every_essay_leaves_none_to_a_reviewer(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    grader = Poisoned(*(left.essay for left in batch.essays))

    with pytest.raises(ValueError, match="poison"):
        await ScoreEssaysLocally(database, grader).score_essays_locally(batch)

    assert [row.status for row in await jobs(session, batch)] == ["failed", "failed"]


async def test_a_failed_batch_leaves_its_code_in_every_open_job(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    activity = ScoreEssaysLocally(database, CountingGrader(ExternalServiceError("Away")))

    with pytest.raises(ExternalServiceError):
        await activity.score_essays_locally(batch)

    rows = await jobs(session, batch)
    assert [(row.status, row.error_payload) for row in rows] == [("failed", {"code": "EXTERNAL_SERVICE_502"})] * 2


async def test_the_attempt_after_a_failed_one_grades_the_batch(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    activity = ScoreEssaysLocally(database, CountingGrader(ExternalServiceError("Away")))
    with pytest.raises(ExternalServiceError):
        await activity.score_essays_locally(batch)

    assert (await activity.score_essays_locally(batch)).scored == 2

    rows = await jobs(session, batch)
    assert [(row.status, row.attempts, row.error_payload) for row in rows] == [("succeeded", 2, None)] * 2


async def test_grades_of_a_run_that_is_over_are_not_stored(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    over = {"status": "failed", "failure_reason": "CorruptData"}
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == batch.run.assessment_id).values(**over))

    with pytest.raises(Conflict):
        await ScoreEssaysLocally(database, CountingGrader()).score_essays_locally(batch)

    assert [(row.status, row.payload) for row in await jobs(session, batch)] == [("failed", None)] * 2


async def test_an_item_that_is_not_an_answered_essay_is_not_graded(database: Database, batch: EssaysInput) -> None:
    async with database.transaction() as uow:
        items = await uow.assessments.items(batch.run.assessment_id)
    grader = CountingGrader()

    with pytest.raises(CorruptData):
        await ScoreEssaysLocally(database, grader).score_essays_locally(
            replace(batch, essays=left([items[0].snapshot_id]))
        )

    assert grader.batches == []


class Crash(BaseException):
    """Ends an attempt without a record, like a crash of the worker."""


class PoisonedGrader(CountingGrader):
    """A grader that crashes on one essay, alone or in a batch."""

    def __init__(self, poison: UUID) -> None:
        super().__init__()
        self.poison = poison

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        graded = await super().grade(essays)
        if self.poison in self.batches[-1]:
            raise Crash
        return graded


async def until_graded(activity: ScoreEssaysLocally, batch: EssaysInput) -> EssaysResult:
    """Repeat the attempt, as Temporal does."""
    for _ in range(20):
        try:
            return await activity.score_essays_locally(batch)
        except (Crash, AttemptLost):
            continue
    raise AssertionError("It is retried for ever")


async def stored(database: Database, batch: EssaysInput) -> dict[UUID, EssayScore]:
    keys = [batch.run.job(Step.SCORE_ESSAY, left.essay) for left in batch.essays]
    async with database.transaction() as uow:
        scores = await uow.jobs.outputs(keys, EssayScore)
    return {score.snapshot_id: score for score in scores.values()}


async def test_an_essay_that_crashes_every_attempt_is_left_to_a_person(database: Database, batch: EssaysInput) -> None:
    poison, other = (left.essay for left in batch.essays)

    result = await until_graded(ScoreEssaysLocally(database, PoisonedGrader(poison)), batch)

    scores = await stored(database, batch)
    assert result == EssaysResult(scored=2, needs_review=1)
    assert (scores[poison].points, scores[poison].degraded_reason) == (None, DegradedReason.GRADER_FAILED)
    assert scores[other].degraded_reason is DegradedReason.ESSAY_GRADER_NOT_CONFIGURED


async def test_one_crashing_essay_costs_the_others_of_its_batch_one_attempt(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    poison = batch.essays[0].essay
    grader = PoisonedGrader(poison)

    await until_graded(ScoreEssaysLocally(database, grader), batch)

    assert [row.lost_attempts for row in await jobs(session, batch)] == [MOST_LOST, 1]
    assert sum(poison in each for each in grader.batches) == MOST_LOST


async def test_the_attempt_after_a_crash_waits_for_a_random_while(database: Database, batch: EssaysInput) -> None:
    activity = ScoreEssaysLocally(database, PoisonedGrader(batch.essays[0].essay))
    with pytest.raises(Crash):
        await activity.score_essays_locally(batch)

    with pytest.raises(AttemptLost) as raised:
        await activity.score_essays_locally(batch)

    assert 0 <= raised.value.retry_after_s <= PAUSE_S


class HangingGrader(CountingGrader):
    """A grader that never ends; `entered` is set when a batch has started."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Semaphore(0)

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.entered.release()
        await asyncio.Event().wait()
        return await super().grade(essays)


async def test_a_batch_that_waits_for_the_grader_is_not_marked_as_running(
    session: AsyncSession, database: Database, batch: EssaysInput
) -> None:
    grader = HangingGrader()
    activity = ScoreEssaysLocally(database, grader)
    others = [await submitted(session) for _ in range(AT_ONCE)]
    async with asyncio.TaskGroup() as tasks:
        running = []
        for other in others:
            essays = left(await essays_of(database, other))
            hung = EssaysInput(run=run_of(other), essays=essays)
            running.append(tasks.create_task(activity.score_essays_locally(hung)))
            await grader.entered.acquire()
        running.append(tasks.create_task(activity.score_essays_locally(batch)))
        await asyncio.sleep(0.1)
        for task in running:
            task.cancel()

    begun = await session.scalars(
        select(AsyncJobRow.id).where(AsyncJobRow.assessment_id == batch.run.assessment_id, AsyncJobRow.attempts > 0)
    )
    assert begun.all() == []


async def test_memory_that_runs_out_counts_as_a_crash(database: Database, batch: EssaysInput) -> None:
    grader = CountingGrader(*[MemoryError() for _ in range(20)])

    result = await until_graded(ScoreEssaysLocally(database, grader), batch)

    assert result == EssaysResult(scored=2, needs_review=2)


async def test_during_a_database_outage_the_batch_waits_and_no_essay_is_given_up(
    database: Database, batch: EssaysInput
) -> None:
    activity = ScoreEssaysLocally(database, CountingGrader(*[StorageUnavailable("Away") for _ in range(10)]))
    for _ in range(10):
        with pytest.raises(StorageUnavailable):
            await activity.score_essays_locally(batch)

    assert await activity.score_essays_locally(batch) == EssaysResult(scored=2, needs_review=0)
