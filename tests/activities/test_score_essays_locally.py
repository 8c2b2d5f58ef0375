from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.score_essays_locally import EssaysInput, EssaysResult, ScoreEssaysLocally
from domain.assessments import Assessment
from domain.errors import Conflict, CorruptData, ExternalServiceError
from domain.ports import UnitOfWorkFactory
from domain.scores import DegradedReason
from domain.steps import Step
from persistence.tables import AssessmentRow, AsyncJobRow, QuestionSnapshotRow
from tests.activities.builders import CountingGrader, essays_of, job_row, left, run_of


@pytest.fixture
async def batch(uow_factory: UnitOfWorkFactory, assessment: Assessment) -> EssaysInput:
    return EssaysInput(run=run_of(assessment), essays=left(await essays_of(uow_factory, assessment)))


async def jobs(session: AsyncSession, batch: EssaysInput) -> list[AsyncJobRow]:
    return [await job_row(session, batch.run.job(Step.SCORE_ESSAY, left.essay)) for left in batch.essays]


async def without_anchors(session: AsyncSession, essay: UUID) -> None:
    """The fake grader abstains from it."""
    values = {"rubric": QuestionSnapshotRow.rubric.op("||")({"anchors": []}), "version": "without-anchors"}
    await session.execute(update(QuestionSnapshotRow).where(QuestionSnapshotRow.id == essay).values(**values))


async def test_all_essays_are_graded_in_one_batch_and_each_closes_its_job(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, batch: EssaysInput
) -> None:
    grader = CountingGrader()

    result = await ScoreEssaysLocally(uow_factory, grader).score_essays_locally(batch)

    assert result == EssaysResult(scored=2, needs_review=0)
    assert grader.batches == [[left.essay for left in batch.essays]]
    assert [row.status for row in await jobs(session, batch)] == ["succeeded", "succeeded"]


async def test_an_abstention_waits_for_a_person(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, batch: EssaysInput
) -> None:
    await without_anchors(session, batch.essays[0].essay)

    result = await ScoreEssaysLocally(uow_factory, CountingGrader()).score_essays_locally(batch)

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
    uow_factory: UnitOfWorkFactory, batch: EssaysInput, reason: DegradedReason, reviewed: int
) -> None:
    first, second = batch.essays

    result = await ScoreEssaysLocally(uow_factory, CountingGrader()).score_essays_locally(
        replace(batch, essays=(replace(first, reason=reason), second))
    )

    assert result == EssaysResult(scored=2, needs_review=reviewed)


async def test_a_repetition_grades_nothing_and_says_the_same(
    uow_factory: UnitOfWorkFactory, batch: EssaysInput
) -> None:
    grader = CountingGrader()
    activity = ScoreEssaysLocally(uow_factory, grader)

    assert await activity.score_essays_locally(batch) == await activity.score_essays_locally(batch)

    assert len(grader.batches) == 1


async def test_only_essays_without_a_score_are_graded(uow_factory: UnitOfWorkFactory, batch: EssaysInput) -> None:
    grader = CountingGrader()
    activity = ScoreEssaysLocally(uow_factory, grader)
    first, second = batch.essays
    await activity.score_essays_locally(replace(batch, essays=(first,)))

    await activity.score_essays_locally(batch)

    assert grader.batches == [[first.essay], [second.essay]]


async def test_a_failed_batch_leaves_its_code_in_every_open_job(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, batch: EssaysInput
) -> None:
    activity = ScoreEssaysLocally(uow_factory, CountingGrader(ExternalServiceError("Away")))

    with pytest.raises(ExternalServiceError):
        await activity.score_essays_locally(batch)

    rows = await jobs(session, batch)
    assert [(row.status, row.error_payload) for row in rows] == [("failed", {"code": "EXTERNAL_SERVICE_502"})] * 2


async def test_the_attempt_after_a_failed_one_grades_the_batch(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, batch: EssaysInput
) -> None:
    activity = ScoreEssaysLocally(uow_factory, CountingGrader(ExternalServiceError("Away")))
    with pytest.raises(ExternalServiceError):
        await activity.score_essays_locally(batch)

    assert (await activity.score_essays_locally(batch)).scored == 2

    rows = await jobs(session, batch)
    assert [(row.status, row.attempts, row.error_payload) for row in rows] == [("succeeded", 2, None)] * 2


async def test_grades_of_a_run_that_is_over_are_not_stored(
    session: AsyncSession, uow_factory: UnitOfWorkFactory, batch: EssaysInput
) -> None:
    over = {"status": "failed", "failure_reason": "CorruptData"}
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == batch.run.assessment_id).values(**over))

    with pytest.raises(Conflict):
        await ScoreEssaysLocally(uow_factory, CountingGrader()).score_essays_locally(batch)

    assert [(row.status, row.payload) for row in await jobs(session, batch)] == [("failed", None)] * 2


async def test_what_is_no_answered_essay_is_not_graded(uow_factory: UnitOfWorkFactory, batch: EssaysInput) -> None:
    async with uow_factory() as unit:
        items = await unit.assessments.items(batch.run.assessment_id)
    grader = CountingGrader()

    with pytest.raises(CorruptData):
        await ScoreEssaysLocally(uow_factory, grader).score_essays_locally(
            replace(batch, essays=left([items[0].snapshot_id]))
        )

    assert grader.batches == []
