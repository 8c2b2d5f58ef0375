"""Further samples of a doubtful essay: what they cost, what happens when one fails, and the calibration."""

import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from activities import model_confidence
from activities.score_essay import EssayInput, EssayOutcome, EssayProgress, GradingOptions, ScoreEssay
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import AnswerAwaited, AppError, AttemptsExceeded, BudgetSpent, ModelUnavailable, TextRefused
from domain.grading.ledger import Completion, SpendingLimits
from domain.grading.model_calibration import FEWEST_LEVELS
from domain.grading.model_grading import GradingRequest, Reply
from domain.grading.scores import EssayScore
from persistence.tables import ResponseRow
from tests.activities.essay_scoring import score
from tests.support.fake_graders import FakeGradingModel
from tests.support.reviewed_answers import a_reviewed_answer

UP_TO_THREE = GradingOptions(samples=1, most_samples=3, limits=SpendingLimits())
TEXT = "The numbers of both weeks differ, so I would first compare the days, and only then ask the shops what changed."
INVENTED = "This sentence is not in the essay."


@pytest.fixture(autouse=True)
async def text_without_flags(session: AsyncSession, wanted: EssayInput) -> None:
    """Replace the answer, because a flag causes a review at any confidence."""
    changed = update(ResponseRow).where(ResponseRow.question_snapshot_id == wanted.essay)
    await session.execute(changed.values(answer=TEXT))


class Grades(FakeGradingModel):
    """A model that gives these levels or raises these errors in turn.

    The replies at the places in `doubtful` have an invented quote.
    """

    def __init__(self, *script: int | AppError, doubtful: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        self._plan = script
        self._doubtful = doubtful

    async def complete(self, wanted: GradingRequest) -> Completion:
        place = len(self.asked)
        play = self._plan[place]
        if isinstance(play, AppError):
            self.asked.append(wanted)
            raise play
        quotes = [wanted.text[:40], *([INVENTED] if place in self._doubtful else [])]
        criteria = wanted.essay.rubric.criteria
        ratings = [(each.key, each.levels[play].name, "It says so.", quotes) for each in criteria]
        self.script = [json.dumps([ratings, "Say how you would check it."]).encode()]
        return await super().complete(wanted)


async def finished(activity: ScoreEssay, wanted: EssayInput) -> EssayProgress:
    while (progress := await activity.score_essay(wanted)).outcome is EssayOutcome.AGAIN:
        pass
    return progress


def levels_of(stored: EssayScore) -> set[tuple[str, ...]]:
    return {rating.sample_levels for rating in stored.ratings}


async def test_a_sure_essay_is_graded_once(database: Database, wanted: EssayInput) -> None:
    model = Grades(1, doubtful=())

    await finished(ScoreEssay(database, model, UP_TO_THREE), wanted)

    assert len(model.asked) == 1


async def test_a_doubtful_essay_needs_no_review_if_the_second_sample_confirms_it(
    database: Database, wanted: EssayInput
) -> None:
    model = Grades(1, 1)

    progress = await finished(ScoreEssay(database, model, UP_TO_THREE), wanted)

    stored = await score(database, wanted)
    assert len(model.asked) == 2
    assert not progress.needs_review
    assert len(levels_of(stored).pop()) == 2
    assert stored.cost_cents == Decimal("0.50")


async def test_samples_that_disagree_end_at_the_maximum_with_the_median_and_a_review(
    database: Database, wanted: EssayInput
) -> None:
    model = Grades(1, 3, 2, doubtful=(0, 1, 2))

    progress = await finished(ScoreEssay(database, model, UP_TO_THREE), wanted)

    stored = await score(database, wanted)
    assert len(model.asked) == 3
    assert progress.needs_review
    assert all(rating.level == rating.sample_levels[2] for rating in stored.ratings)


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("Away"),
        BudgetSpent("Spent"),
        AttemptsExceeded("Too many"),
        TextRefused("Refused"),
    ],
)
async def test_the_first_sample_counts_for_review_if_the_call_for_the_second_fails(
    database: Database, wanted: EssayInput, error: AppError
) -> None:
    model = Grades(1, error)

    progress = await finished(ScoreEssay(database, model, UP_TO_THREE), wanted)

    stored = await score(database, wanted)
    assert (progress.outcome, progress.needs_review) == (EssayOutcome.SCORED, True)
    assert stored.points
    assert (len(model.asked), stored.cost_cents) == (2, Decimal("0.25"))


async def test_a_second_sample_that_another_execution_requests_is_awaited(
    database: Database, wanted: EssayInput
) -> None:
    activity = ScoreEssay(database, Grades(1, AnswerAwaited("Awaited", retry_after_s=1)), UP_TO_THREE)
    await activity.score_essay(wanted)

    with pytest.raises(AnswerAwaited):
        await activity.score_essay(wanted)


async def test_a_second_sample_is_not_paid_for_again_after_a_crash(database: Database, wanted: EssayInput) -> None:
    class Crash(RuntimeError): ...

    class CrashesAfterTheSecondReply(Grades):
        def read(self, raw: bytes) -> Reply:
            if len(self.asked) == 2:
                raise Crash
            return super().read(raw)

    activity = ScoreEssay(database, CrashesAfterTheSecondReply(1, 1), UP_TO_THREE)
    await activity.score_essay(wanted)
    with pytest.raises(Crash):
        await activity.score_essay(wanted)
    model = FakeGradingModel()

    progress = await finished(ScoreEssay(database, model, UP_TO_THREE), wanted)

    assert model.asked == []
    assert not progress.needs_review


async def reviews(
    session: AsyncSession, organization_id: UUID, *, confirmed: bool, number: int = FEWEST_LEVELS
) -> None:
    for place in range(number):
        await a_reviewed_answer(
            session,
            organization_id,
            f"Answer {place}",
            reviewed=1 if confirmed else 2,
            model=FakeGradingModel.model,
            prompt_version=FakeGradingModel.prompt_version,
            needs_review=True,
            minutes=place,
        )


async def test_levels_that_reviewers_changed_lower_the_confidence_and_cause_more_samples(
    session: AsyncSession, database: Database, assessment: Assessment, wanted: EssayInput
) -> None:
    await reviews(session, assessment.organization_id, confirmed=False)
    model = Grades(1, 1, 1, doubtful=())

    progress = await finished(ScoreEssay(database, model, UP_TO_THREE), wanted)

    stored = await score(database, wanted)
    assert len(model.asked) == 3
    assert progress.needs_review
    assert stored.calibration
    assert {rating.raw_confidence for rating in stored.ratings} == {Decimal("0.9")}


async def test_few_reviews_leave_the_prior_and_no_version(
    session: AsyncSession, database: Database, assessment: Assessment, wanted: EssayInput
) -> None:
    await reviews(session, assessment.organization_id, confirmed=False, number=1)

    await finished(ScoreEssay(database, FakeGradingModel(), UP_TO_THREE), wanted)

    stored = await score(database, wanted)
    assert (stored.calibration, stored.confidence) == ("", Decimal("0.9"))
    assert {rating.raw_confidence for rating in stored.ratings} == {None}


async def test_a_calibration_is_read_again_when_it_has_expired(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, model = model_confidence.CalibrationSource(database), FakeGradingModel()
    before = await source.of(assessment.organization_id, model)
    await reviews(session, assessment.organization_id, confirmed=True)
    cached = await source.of(assessment.organization_id, model)
    monkeypatch.setattr(model_confidence, "LASTS_S", 0.0)
    expired = replace(source)

    after = await expired.of(assessment.organization_id, model)

    assert before == cached
    assert after.version
