from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.claim_assessment import Claim, ClaimAssessment, ClaimInput, ClaimOutcome
from activities.score_rules import RulesInput, ScoreRules
from activities.steps import RunInput
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import CorruptData
from domain.grading.scores import RuleScores
from persistence.tables import AssessmentRow, QuestionSnapshotRow, ResponseRow
from tests.activities.builders import MINUTE_AGO, enqueue, essays_of, job_row, run_of
from tests.support.builders import an_assessment


async def stored(database: Database, assessment: Assessment) -> RuleScores:
    async with database.transaction() as uow:
        return await uow.jobs.output(run_of(assessment).job(Step.SCORE_RULES), RuleScores)


async def test_every_item_but_the_essays_has_one_score(database: Database, assessment: Assessment) -> None:
    count = await ScoreRules(database).score_rules(run_of(assessment))

    async with database.transaction() as uow:
        items = await uow.assessments.items(assessment.id)
    scores = (await stored(database, assessment)).scores
    assert count == 4
    assert [score.snapshot_id for score in scores] == [item.snapshot_id for item in items[:4]]


async def test_scoring_again_returns_what_was_scored_first(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    activity, run = ScoreRules(database), run_of(assessment)
    first_count = await activity.score_rules(run)
    first = await stored(database, assessment)
    await session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == assessment.id))

    assert await activity.score_rules(run) == first_count

    assert await stored(database, assessment) == first


@pytest.fixture
async def unclaimed(session: AsyncSession) -> Assessment:
    """A submitted assessment with its queued jobs."""
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)
    await enqueue(session, assessment)
    return assessment


async def test_the_claim_and_the_scores_are_one_transaction(
    session: AsyncSession, database: Database, unclaimed: Assessment
) -> None:
    claim = await ScoreRules(database, by_model=True).score_rules(ClaimInput(assessment_id=unclaimed.id))

    row = await job_row(session, run_of(unclaimed).job(Step.SCORE_RULES))
    assert isinstance(claim, Claim)
    assert (claim.outcome, claim.run, claim.revision, claim.by_model) == (ClaimOutcome.GO_ON, 1, 1, True)
    assert claim.essays == await essays_of(database, unclaimed)
    assert (row.status, row.attempts, row.started_at is None) == ("succeeded", 1, False)


async def test_an_invalid_answer_leaves_the_assessment_unclaimed_and_its_job_failed(
    session: AsyncSession, database: Database, unclaimed: Assessment
) -> None:
    await corrupt_first_answer(session, unclaimed)

    with pytest.raises(CorruptData) as failure:
        await ScoreRules(database).score_rules(ClaimInput(assessment_id=unclaimed.id))

    assert "MARKER" not in str(failure.value)
    row = await job_row(session, run_of(unclaimed).job(Step.SCORE_RULES))
    assert (row.status, row.error_payload) == ("failed", {"code": "CORRUPT_DATA_500"})
    claimed_at = select(AssessmentRow.claimed_at).where(AssessmentRow.id == unclaimed.id)
    assert await session.scalar(claimed_at) is None


async def test_an_earlier_build_can_continue_after_this_one_claimed_and_scored(
    database: Database, unclaimed: Assessment
) -> None:
    """As after a rollback: reconciliation then starts the run on the earlier build."""
    await ScoreRules(database).score_rules(ClaimInput(assessment_id=unclaimed.id))

    claimed = await ClaimAssessment(database).claim_assessment(ClaimInput(assessment_id=unclaimed.id))
    count = await ScoreRules(database).score_rules(run_of(unclaimed))

    assert claimed.outcome is ClaimOutcome.GO_ON
    assert count == len((await stored(database, unclaimed)).scores) == 4


@pytest.mark.parametrize(
    "wanted", [ClaimInput(assessment_id=UUID(int=7)), RunInput(assessment_id=UUID(int=7), run=1, revision=1)]
)
async def test_the_input_tells_which_build_started_the_run(wanted: ClaimInput | RunInput) -> None:
    payloads = await pydantic_data_converter.encode([wanted])

    assert await pydantic_data_converter.decode(payloads, [RulesInput]) == [wanted]  # type: ignore[list-item]


async def test_an_earlier_build_cannot_read_the_input_of_a_claim() -> None:
    payloads = await pydantic_data_converter.encode([ClaimInput(assessment_id=UUID(int=7))])

    with pytest.raises(ValidationError):
        await pydantic_data_converter.decode(payloads, [RunInput])


async def test_an_invalid_stored_answer_fails_the_attempt_without_being_quoted(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await corrupt_first_answer(session, assessment)

    with pytest.raises(CorruptData) as failure:
        await ScoreRules(database).score_rules(run_of(assessment))

    assert "MARKER" not in str(failure.value)
    row = await job_row(session, run_of(assessment).job(Step.SCORE_RULES))
    assert (row.status, row.error_payload) == ("failed", {"code": "CORRUPT_DATA_500"})


async def corrupt_first_answer(session: AsyncSession, assessment: Assessment) -> None:
    first = (
        await session.execute(
            update(ResponseRow)
            .where(
                ResponseRow.question_snapshot_id == QuestionSnapshotRow.id,
                QuestionSnapshotRow.assessment_id == assessment.id,
                QuestionSnapshotRow.position == 1,
            )
            .values(answer={"not": "MARKER"})
            .returning(ResponseRow.id)
        )
    ).all()
    assert len(first) == 1
