"""Essay scoring with crashes, database outages and failures of the text analysis."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from activities import steps
from activities.essays import MOST_LOST
from activities.score_essay import EssayInput, EssayOutcome, ScoreEssay
from domain.assessments.steps import Step
from domain.database import Database, Repositories
from domain.errors import AnalysisFailed, GraderFailed, StorageUnavailable
from domain.grading.ledger import Completion, CompletionKey
from domain.grading.scores import DegradedReason
from tests.activities.builders import job_row
from tests.activities.essay_scoring import ONE_SAMPLE, score
from tests.support.fake_graders import FakeGradingModel
from tests.support.fakes import FailingDatabase
from workflows.policies import FIVE_ATTEMPTS

P = ParamSpec("P")
Result = TypeVar("Result")


async def test_a_reply_that_was_stored_before_a_crash_is_read_back(database: Database, wanted: EssayInput) -> None:
    class Crash(RuntimeError): ...

    class CrashesAfterTheReply(FakeGradingModel):
        def read(self, raw: bytes) -> Any:
            del raw
            raise Crash

    with pytest.raises(Crash):
        await ScoreEssay(database, CrashesAfterTheReply(), ONE_SAMPLE).score_essay(wanted)
    model = FakeGradingModel()

    assert (await ScoreEssay(database, model, ONE_SAMPLE).score_essay(wanted)).outcome is EssayOutcome.SCORED

    assert model.asked == []


async def test_a_reply_is_stored_after_a_short_database_outage(database: Database, wanted: EssayInput) -> None:
    model = FakeGradingModel()
    away = [StorageUnavailable("Postgres is away")] * 2

    class Hesitant(FailingDatabase):
        @asynccontextmanager
        async def statement(self) -> AsyncIterator[Repositories]:
            async with super().statement() as uow:
                record = uow.model_answers.record

                async def hesitant(key: CompletionKey, answer: Completion) -> bytes:
                    if away:
                        raise away.pop()
                    return await record(key, answer)

                uow.model_answers.record = hesitant  # type: ignore[method-assign]  # the fault
                yield uow

    assert (await ScoreEssay(Hesitant(database), model, ONE_SAMPLE).score_essay(wanted)).outcome is EssayOutcome.SCORED

    assert len(model.asked) == 1


async def test_a_short_database_outage_uses_no_attempt(
    database: Database, wanted: EssayInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FakeGradingModel()
    monkeypatch.setattr(steps, "OUTAGE_EVERY_S", 0.01)

    graded = await ScoreEssay(FailingDatabase(database, failures=[True] * 3), model, ONE_SAMPLE).score_essay(wanted)

    assert graded.outcome is EssayOutcome.SCORED
    assert len(model.asked) == 1


async def test_a_long_database_outage_ends_the_attempt(
    database: Database, wanted: EssayInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "OUTAGE_WITHIN_S", 0.05)
    monkeypatch.setattr(steps, "OUTAGE_EVERY_S", 0.01)

    with pytest.raises(StorageUnavailable):
        await ScoreEssay(FailingDatabase(database, away=True), FakeGradingModel(), ONE_SAMPLE).score_essay(wanted)


class Crash(BaseException):
    """Ends an attempt without a record, like a crash of the worker."""


class FailingAnalysis:
    """A TextAnalysis that raises an error for one function."""

    def __init__(self, function: str, error: BaseException) -> None:
        self.function = function
        self.error = error

    async def run(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        if function.__name__ == self.function:
            raise self.error
        return function(*args, **kwargs)


@pytest.mark.parametrize("function", ["next_call", "build_request", "essay_score"])
async def test_an_essay_whose_text_cannot_be_analysed_is_left_to_a_person(
    database: Database, wanted: EssayInput, function: str
) -> None:
    analysis = FailingAnalysis(function, AnalysisFailed("Stopped"))

    progress = await ScoreEssay(database, FakeGradingModel(), ONE_SAMPLE, analysis).score_essay(wanted)

    graded = await score(database, wanted)
    assert (progress.outcome, progress.needs_review) == (EssayOutcome.SCORED, True)
    assert (graded.points, graded.degraded_reason) == (None, DegradedReason.GRADER_FAILED)
    assert (graded.cost_cents != 0) == (function == "essay_score")


async def test_an_essay_that_crashes_every_worker_is_left_to_a_person_within_the_attempts_of_the_step(
    database: Database, wanted: EssayInput
) -> None:
    activity = ScoreEssay(database, FakeGradingModel(), ONE_SAMPLE, FailingAnalysis("next_call", Crash()))
    for _ in range(MOST_LOST):
        with pytest.raises(Crash):
            await activity.score_essay(wanted)

    await activity.score_essay(wanted)

    assert (await score(database, wanted)).degraded_reason is DegradedReason.GRADER_FAILED
    assert FIVE_ATTEMPTS.maximum_attempts > MOST_LOST


async def test_an_essay_that_cannot_be_analysed_while_healing_keeps_its_published_score(
    database: Database, wanted: EssayInput
) -> None:
    wanted = replace(wanted, run=replace(wanted.run, revision=2))
    analysis = FailingAnalysis("next_call", AnalysisFailed("Stopped"))

    with pytest.raises(GraderFailed):
        await ScoreEssay(database, FakeGradingModel(), ONE_SAMPLE, analysis).score_essay(wanted)


async def test_executions_that_end_well_are_not_counted_as_lost(
    session: AsyncSession, database: Database, wanted: EssayInput
) -> None:
    activity = ScoreEssay(database, FakeGradingModel(), replace(ONE_SAMPLE, samples=3))
    while (await activity.score_essay(wanted)).outcome is EssayOutcome.AGAIN:
        pass

    assert (await job_row(session, wanted.run.job(Step.SCORE_ESSAY, wanted.essay))).lost_attempts == 0
