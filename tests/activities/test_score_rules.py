import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.score_rules import ScoreRules
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import CorruptData
from domain.grading.scores import RuleScores
from persistence.tables import QuestionSnapshotRow, ResponseRow
from tests.activities.builders import job_row, run_of


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


async def test_an_invalid_stored_answer_fails_the_attempt_without_being_quoted(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
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

    with pytest.raises(CorruptData) as failure:
        await ScoreRules(database).score_rules(run_of(assessment))

    assert "MARKER" not in str(failure.value)
    row = await job_row(session, run_of(assessment).job(Step.SCORE_RULES))
    assert (row.status, row.error_payload) == ("failed", {"code": "CORRUPT_DATA_500"})
