"""Essays that copy an earlier answer of another student, graded by either grader."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.copies import CopySearch
from activities.essays import essay_of
from activities.score_essays_locally import EssaysInput, ScoreEssaysLocally
from activities.text_analysis import IN_PROCESS
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.grading.essay_reading import read_essay
from domain.grading.model_grading import Accepted
from domain.grading.model_scores import essay_score
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore, Spent
from persistence.tables import AssessmentRow, ResponseRow
from tests.activities.builders import MINUTE_AGO, CountingGrader, essays_of, left, run_of, submitted
from tests.support.builders import a_user

COPIED = " ".join(f"word{place}" for place in range(80))


class RecordingGrader(CountingGrader):
    """A grader that records the essays."""

    def __init__(self) -> None:
        super().__init__()
        self.essays: dict[UUID, Essay] = {}

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.essays |= {essay.snapshot_id: essay for essay in essays}
        return await super().grade(essays)


async def with_text(session: AsyncSession, essay: UUID, text: str) -> None:
    await session.execute(update(ResponseRow).where(ResponseRow.question_snapshot_id == essay).values(answer=text))


async def grade(database: Database, assessment: Assessment) -> dict[UUID, Essay]:
    grader = RecordingGrader()
    batch = EssaysInput(run=run_of(assessment), essays=left(await essays_of(database, assessment)))
    await ScoreEssaysLocally(database, grader).score_essays_locally(batch)
    return grader.essays


@pytest.fixture
async def source(session: AsyncSession, database: Database, assessment: Assessment) -> UUID:
    """The first essay of another student of the organization, which is graded."""
    other = await submitted(session, user_id=await a_user(session, assessment.organization_id))
    hour_before = {"submitted_at": MINUTE_AGO - timedelta(hours=1)}
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == other.id).values(**hour_before))
    essay = (await essays_of(database, other))[0]
    await with_text(session, essay, COPIED)
    await grade(database, other)
    return essay


async def test_a_copied_essay_is_flagged_with_its_source_and_graded_without_the_copy(
    session: AsyncSession, database: Database, assessment: Assessment, source: UUID
) -> None:
    essay = (await essays_of(database, assessment))[0]
    await with_text(session, essay, f"My own answer has only this sentence. {COPIED}")

    reading = read_essay((await grade(database, assessment))[essay])

    assert "copied_answer" in reading.flags
    assert [each.snapshot_id for each in reading.copied_from] == [source]
    assert reading.texts[-1] == "My own answer has only this sentence."


async def test_a_language_models_grade_of_a_copy_waits_for_a_review_with_the_same_points(
    session: AsyncSession, database: Database, assessment: Assessment, source: UUID
) -> None:
    essay = (await essays_of(database, assessment))[0]
    await with_text(session, essay, COPIED)
    copy = (await grade(database, assessment))[essay]
    levels = (await CountingGrader().grade([copy]))[0].ratings

    score = essay_score(
        copy,
        Accepted(ratings=levels, feedback="Good."),
        Spent(latency_ms=1, cost_cents=None),
        model="m",
        prompt_version="p",
    )

    assert (score.needs_review, score.flags[-1]) == (True, "copied_answer")
    assert [each.snapshot_id for each in score.copied_from] == [source]
    assert score.ratings == levels


async def test_the_source_itself_is_no_copy(
    session: AsyncSession, database: Database, assessment: Assessment, source: UUID
) -> None:
    essay = (await essays_of(database, assessment))[0]
    await with_text(session, essay, COPIED)
    await grade(database, assessment)
    (original,) = [each for each in await stored(session, database, source) if each.snapshot_id == source]

    assert read_essay(original).copied_from == ()


async def stored(session: AsyncSession, database: Database, essay: UUID) -> list[Essay]:
    """Search again for the sources of an essay that is graded already."""
    assessment_id = await session.scalar(
        select(ResponseRow.assessment_id).where(ResponseRow.question_snapshot_id == essay)
    )
    assert assessment_id
    async with database.statement() as uow:
        items = await uow.assessments.items(assessment_id)
    return await CopySearch(database=database, analysis=IN_PROCESS).add(assessment_id, [essay_of(items, essay)])
