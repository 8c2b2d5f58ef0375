"""The whole pipeline with a fake language model: graded, degraded and healed."""

import pytest
from sqlalchemy import select

from domain.assessments.lifecycle import AssessmentStatus, Healing
from domain.errors import ModelKeyRefused, TextRefused, TextTooLong
from persistence.tables import EssayScoreRow, ModelAnswerRow
from tests.support.fake_graders import FakeGradingModel
from tests.workflows.pipeline import ONE_RESULT, Pipeline, history_bytes, outcome

MAX_EVENTS = 60
MAX_BYTES = 12_000


@pytest.fixture
def graded(pipeline: Pipeline) -> Pipeline:
    pipeline.model = FakeGradingModel()
    return pipeline


def refusing(pipeline: Pipeline) -> FakeGradingModel:
    """A model whose provider rejects the key twice."""
    pipeline.model = FakeGradingModel(*[ModelKeyRefused("The provider refuses the API key")] * 2)
    return pipeline.model


async def test_a_result_that_the_model_graded_is_not_degraded(graded: Pipeline) -> None:
    assessment = await graded.assessment()
    async with graded.workers():
        handle = await graded.submit(assessment)
        done = await outcome(handle)

    assert (done.status, done.degraded_reasons) == (AssessmentStatus.COMPLETED, ())
    row = await graded.row(assessment)
    assert (row.degraded, row.healing) == (False, Healing.NONE)
    assert await graded.published(assessment) == ONE_RESULT
    async with graded.sessions() as session:
        scores = await session.scalars(select(EssayScoreRow).where(EssayScoreRow.assessment_id == assessment.id))
        answers = await session.scalars(select(ModelAnswerRow).where(ModelAnswerRow.assessment_id == assessment.id))
    assert {score.model for score in scores} == {FakeGradingModel.model}
    assert len(answers.all()) == 2


async def test_a_graded_runs_history_is_small(graded: Pipeline) -> None:
    assessment = await graded.assessment()
    async with graded.workers():
        handle = await graded.submit(assessment)
        await outcome(handle)

    assert len((await handle.fetch_history()).events) <= MAX_EVENTS
    assert len(await history_bytes(handle)) <= MAX_BYTES


async def test_a_refused_key_degrades_with_its_own_reason_and_a_retry_heals_it(pipeline: Pipeline) -> None:
    model = refusing(pipeline)
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        done = await outcome(await pipeline.submit(assessment))
        degraded = await pipeline.row(assessment)
        healed = await pipeline.heal_now(assessment)

    assert done.degraded_reasons == ("essay_grader_key_refused",)
    assert (degraded.degraded, degraded.healing) == (True, Healing.DUE)
    assert (healed.revision, healed.healing) == (2, Healing.NONE)
    row = await pipeline.row(assessment)
    assert (row.status, row.revision, row.degraded, row.healing) == ("completed", 2, False, Healing.NONE)
    assert len(model.asked) == 4


async def test_an_essay_that_the_provider_refuses_is_graded_locally_for_review_without_healing(
    pipeline: Pipeline,
) -> None:
    pipeline.model = FakeGradingModel(TextRefused("Refused"), TextTooLong("Too long"))
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        done = await outcome(await pipeline.submit(assessment))

    assert done.degraded_reasons == ("essay_refused_by_provider", "essay_too_long_for_model")
    row = await pipeline.row(assessment)
    assert (row.degraded, row.healing) == (True, Healing.NONE)
    async with pipeline.database.transaction() as uow:
        published = await uow.results.published(assessment.id)
    assert [score.needs_review for score in published.scores.essays] == [True, True]
    assert len(pipeline.model.asked) == 2


async def test_the_web_ui_shows_the_text_of_the_reason(pipeline: Pipeline) -> None:
    refusing(pipeline)
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        handle = await pipeline.submit(assessment)
        await outcome(handle)
        await pipeline.heal_now(assessment)

    said = await history_bytes(handle)
    assert b"language model: first completion" in said
    assert b"ModelKeyRefused" in said


async def test_the_model_gets_the_whole_essay(graded: Pipeline) -> None:
    assessment = await graded.assessment()
    async with graded.workers():
        await outcome(await graded.submit(assessment))

    assert isinstance(graded.model, FakeGradingModel)
    async with graded.database.transaction() as uow:
        written = {str(item.answer) for item in await uow.assessments.items(assessment.id)}
    assert {each.text for each in graded.model.asked} <= written
