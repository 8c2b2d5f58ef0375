"""Reviewed answers of other students are examples for the language model, and are chosen once."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.score_essay import EssayInput, EssayOutcome, ScoreEssay
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import AnalysisFailed, TextRefused, TextTooLong
from domain.grading.ledger import Completion
from domain.grading.model_grading import GradingRequest, Reply, Unreadable
from persistence.tables import AsyncJobRow, EssayReviewRow, GradingExamplesRow, ModelAnswerRow, OrganizationRow, UserRow
from tests.activities.builders import run_of
from tests.activities.essay_scoring import ONE_SAMPLE, score
from tests.support.fake_graders import FakeGradingModel
from tests.support.reviewed_answers import a_reviewed_answer, first_essay

P = ParamSpec("P")
Result = TypeVar("Result")

ANSWER = "A reviewed answer about the numbers of last week."


@pytest.fixture
async def wanted(session: AsyncSession, assessment: Assessment) -> EssayInput:
    return EssayInput(run=run_of(assessment), essay=(await first_essay(session, assessment.id)).snapshot_id)


@pytest.fixture
async def review(session: AsyncSession, assessment: Assessment) -> UUID:
    return await a_reviewed_answer(session, assessment.organization_id, ANSWER)


async def share(session: AsyncSession, assessment: Assessment, *, shared: bool | None) -> None:
    changed = update(OrganizationRow).where(OrganizationRow.id == assessment.organization_id)
    await session.execute(changed.values(settings={"share_reviewed_answers": shared}))


def shown(request: GradingRequest) -> list[UUID]:
    return [example.review_id for example in request.essay.examples]


class FromOpenAI(FakeGradingModel):
    hosted_by_openai = True


class Crash(RuntimeError): ...


class Crashing(FakeGradingModel):
    """A model that receives its first request, after which the worker crashes."""

    async def complete(self, wanted: GradingRequest) -> Completion:
        if not self.asked:
            self.asked.append(wanted)
            raise Crash
        return await super().complete(wanted)


async def test_the_model_sees_a_reviewed_answer_and_the_score_names_the_review(
    session: AsyncSession, database: Database, wanted: EssayInput, assessment: Assessment
) -> None:
    review = await a_reviewed_answer(
        session, assessment.organization_id, f"Ada: {ANSWER}", reviewed=2, name="Ada Lovelace"
    )
    model = FakeGradingModel()

    await ScoreEssay(database, model, ONE_SAMPLE).score_essay(wanted)

    (example,) = model.asked[0].essay.examples
    assert (example.review_id, example.text) == (review, f"[name]: {ANSWER}")
    stored = await score(database, wanted)
    assert stored.examples == (review,)
    assert stored.prompt_version == model.prompt_version


async def test_without_reviewed_answers_the_key_is_that_of_the_plain_prompt(
    session: AsyncSession, database: Database, wanted: EssayInput
) -> None:
    await ScoreEssay(database, FakeGradingModel(), ONE_SAMPLE).score_essay(wanted)

    assert (await score(database, wanted)).examples == ()
    assert await session.scalar(select(ModelAnswerRow.prompt_hash)) == FakeGradingModel.prompt_version


@pytest.mark.parametrize(
    ("model", "shared", "shows"),
    [
        (FakeGradingModel, None, True),
        (FakeGradingModel, False, False),
        (FromOpenAI, None, False),
        (FromOpenAI, True, True),
    ],
)
async def test_the_organization_decides_whether_the_model_sees_answers_of_others(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    wanted: EssayInput,
    review: UUID,
    *,
    model: type[FakeGradingModel],
    shared: bool | None,
    shows: bool,
) -> None:
    await share(session, assessment, shared=shared)
    asked = model()

    await ScoreEssay(database, asked, ONE_SAMPLE).score_essay(wanted)

    assert shown(asked.asked[0]) == ([review] if shows else [])


async def test_a_model_that_takes_no_examples_gets_none(
    session: AsyncSession, database: Database, wanted: EssayInput, review: UUID
) -> None:
    class Without(FakeGradingModel):
        most_examples = 0

    model = Without()
    await ScoreEssay(database, model, ONE_SAMPLE).score_essay(wanted)

    assert (review, shown(model.asked[0])) == (review, [])
    assert await session.scalar(select(func.count()).select_from(GradingExamplesRow)) == 0


async def test_a_retry_after_a_crash_shows_the_same_answers_although_there_are_newer_ones(
    session: AsyncSession, database: Database, assessment: Assessment, wanted: EssayInput, review: UUID
) -> None:
    model = Crashing()
    activity = ScoreEssay(database, model, ONE_SAMPLE)
    with pytest.raises(Crash):
        await activity.score_essay(wanted)
    await a_reviewed_answer(session, assessment.organization_id, "Newer than the call.", given=0, minutes=1)

    await activity.score_essay(wanted)

    assert [shown(request) for request in model.asked] == [[review], [review]]
    assert (await score(database, wanted)).examples == (review,)


async def test_all_samples_show_the_same_answers(
    session: AsyncSession, database: Database, assessment: Assessment, wanted: EssayInput, review: UUID
) -> None:
    model = FakeGradingModel()
    activity = ScoreEssay(database, model, replace(ONE_SAMPLE, samples=3))

    while (await activity.score_essay(wanted)).outcome is EssayOutcome.AGAIN:
        await a_reviewed_answer(session, assessment.organization_id, f"Review {len(model.asked)}.", minutes=1)

    assert [shown(request) for request in model.asked] == [[review]] * 3


async def _forget_the_score(session: AsyncSession) -> None:
    await session.execute(update(AsyncJobRow).values(status="queued", payload=None))


async def test_the_same_answers_are_not_paid_for_twice(
    session: AsyncSession, database: Database, wanted: EssayInput, review: UUID
) -> None:
    model = FakeGradingModel()
    activity = ScoreEssay(database, model, ONE_SAMPLE)
    await activity.score_essay(wanted)
    await _forget_the_score(session)

    await activity.score_essay(wanted)

    assert [shown(request) for request in model.asked] == [[review]]


async def test_other_answers_are_another_call(
    session: AsyncSession, database: Database, assessment: Assessment, wanted: EssayInput, review: UUID
) -> None:
    model = FakeGradingModel()
    activity = ScoreEssay(database, model, ONE_SAMPLE)
    await activity.score_essay(wanted)
    await _forget_the_score(session)
    await share(session, assessment, shared=False)

    await activity.score_essay(wanted)

    assert [shown(request) for request in model.asked] == [[review], []]
    assert len(set(await session.scalars(select(ModelAnswerRow.prompt_hash)))) == 2


async def test_a_retry_shows_no_answer_of_a_user_who_was_erased_meanwhile(
    session: AsyncSession, database: Database, wanted: EssayInput, review: UUID
) -> None:
    model = Crashing()
    activity = ScoreEssay(database, model, ONE_SAMPLE)
    with pytest.raises(Crash):
        await activity.score_essay(wanted)
    author = select(EssayReviewRow.reviewer_id).where(EssayReviewRow.id == review).scalar_subquery()
    await session.execute(update(UserRow).where(UserRow.id == author).values(status="erasing"))

    await activity.score_essay(wanted)

    assert [shown(request) for request in model.asked] == [[review], []]
    assert (await score(database, wanted)).examples == ()


class Withholding(FakeGradingModel):
    """A model whose provider withholds the reply to a request with examples."""

    def read(self, raw: bytes) -> Reply:
        return Unreadable(problem="was withheld", withheld=True) if raw == b"withheld" else super().read(raw)


@pytest.mark.parametrize(
    ("model", "cents"),
    [
        (FakeGradingModel(TextTooLong("Too long")), "0.25"),
        (FakeGradingModel(TextRefused("Refused")), "0.25"),
        (Withholding(b"withheld"), "0.50"),
    ],
)
async def test_an_essay_that_is_refused_with_examples_is_graded_without_them(
    database: Database, wanted: EssayInput, review: UUID, model: FakeGradingModel, cents: str
) -> None:
    activity = ScoreEssay(database, model, ONE_SAMPLE)

    progress = [await activity.score_essay(wanted) for _ in range(2)]

    assert [each.outcome for each in progress] == [EssayOutcome.AGAIN, EssayOutcome.SCORED]
    assert [shown(request) for request in model.asked] == [[review], []]
    stored = await score(database, wanted)
    assert (stored.examples, stored.cost_cents) == ((), Decimal(cents))


class FailingAnalysis:
    """A TextAnalysis that fails for one function."""

    def __init__(self, function: str) -> None:
        self.function = function

    async def run(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        if function.__name__ == self.function:
            raise AnalysisFailed("Stopped")
        return function(*args, **kwargs)


@pytest.mark.parametrize("function", ["choose_examples", "as_examples"])
async def test_answers_that_cannot_be_analysed_are_left_out(
    database: Database, wanted: EssayInput, review: UUID, function: str
) -> None:
    model: Any = FakeGradingModel()

    progress = await ScoreEssay(database, model, ONE_SAMPLE, FailingAnalysis(function)).score_essay(wanted)

    assert (progress.outcome, shown(model.asked[0])) == (EssayOutcome.SCORED, [])
    assert review not in (await score(database, wanted)).examples
