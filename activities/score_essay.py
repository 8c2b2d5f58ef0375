"""Grade an essay with a language model.

Each execution pays for at most one answer. An answer that is already stored is not requested again.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity

from activities.copies import CopySearch
from activities.essays import MOST_LOST, essay_of
from activities.examples import ExampleSource
from activities.model_confidence import CalibrationSource
from activities.steps import RunInput, attempt, through_outages
from activities.text_analysis import IN_PROCESS
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import (
    AnalysisFailed,
    AppError,
    AttemptsExceeded,
    Conflict,
    ExternalServiceError,
    GraderFailed,
    ModelNotConfigured,
    StorageUnavailable,
    TextRefused,
    TextTooLong,
)
from domain.grading.ledger import Completion, CompletionKey, Reservation, SpendingLimits
from domain.grading.model_grading import (
    Accepted,
    Call,
    GradingRequest,
    LeftToPerson,
    MoreSamples,
    Unscorable,
    Variant,
    build_request,
    next_call,
)
from domain.grading.model_scores import essay_score
from domain.grading.ports import GradingModel, TextAnalysis
from domain.grading.rubrics import Essay, ungraded_essay
from domain.grading.scores import DegradedReason, EssayScore

log = structlog.get_logger(__name__)

LEASE_SLACK_S: Final = 5.0
"""How much longer a reservation lasts than its call, so that no other execution pays for the same answer while it is
being stored."""

KEEP_WITHIN_S: Final = 20.0
KEEP_AGAIN_S: Final = 0.5
"""How long and how often storing a reply is retried. The activity times out 30 s after the call's deadline."""

WITHOUT_EXAMPLES: Final = "without reviewed answers as examples"

_UNSCORABLE: Final[dict[type[AppError], DegradedReason]] = {
    TextRefused: DegradedReason.ESSAY_REFUSED_BY_PROVIDER,
    TextTooLong: DegradedReason.ESSAY_TOO_LONG_FOR_MODEL,
}
"""The reasons in the result for a provider's refusal of an essay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayInput:
    """`epoch` is increased when healing requests new answers in place of rejected ones."""

    run: RunInput
    essay: UUID
    epoch: int = 0


class EssayOutcome(StrEnum):
    SCORED = "scored"
    AGAIN = "again"
    UNSCORABLE = "unscorable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayProgress:
    """The outcome of one execution.

    `again` comes with `next_call`, the answer to request next. `unscorable` comes with `reason` and leaves the essay to
    another grader. It is an output and not a failure, because workers of an older build ignore unknown fields but fail
    on unknown failures.
    """

    outcome: EssayOutcome
    needs_review: bool = False
    next_call: str = ""
    reason: DegradedReason = DegradedReason.ESSAY_ANSWER_REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingOptions:
    """`samples` (>= 1) is the number of gradings of each essay, `most_samples` the most of a doubtful one.

    `limits` is what may be spent.
    """

    samples: int
    limits: SpendingLimits
    most_samples: int = 1


class ScoreEssay:
    """With `model` None every essay is refused, so that runs that expect a model do not wait for it forever.

    All computation on the essay's text runs in `analysis`, which has a time limit.
    """

    def __init__(
        self,
        database: Database,
        model: GradingModel | None,
        grading: GradingOptions,
        analysis: TextAnalysis = IN_PROCESS,
    ) -> None:
        self._database = database
        self._analysis = analysis
        self._configured = model
        self._grading = grading
        self._examples = ExampleSource(database=database, analysis=analysis)
        self._calibrations = CalibrationSource(database)
        self._copies = CopySearch(database=database, analysis=analysis)

    @property
    def database(self) -> Database:
        return self._database

    @property
    def model_name(self) -> str | None:
        return self._configured.model if self._configured else None

    @property
    def _model(self) -> GradingModel:
        if self._configured is None:
            raise ModelNotConfigured("This worker has no language model: set OPENAI_API_KEY, or ESSAY_GRADER=local")
        return self._configured

    @activity.defn
    async def score_essay(self, wanted: EssayInput) -> EssayProgress:
        """Grade the essay, or request one answer and return which one the next execution must request.

        Raises:
            GraderFailed: the essay cannot be graded, and an earlier revision already has a score for it.
        """
        return await through_outages(partial(self._score_essay, wanted))

    async def _score_essay(self, wanted: EssayInput) -> EssayProgress:
        job = wanted.run.job(Step.SCORE_ESSAY, wanted.essay)
        async with self._database.statement() as uow:
            begun = await uow.jobs.begin(job, EssayScore)
        if begun.output is not None:
            return _scored(begun.output)
        async with attempt(self._database, job):
            if begun.lost >= MOST_LOST:
                return await self._give_up(wanted, job)
            try:
                progress = await self._advance(wanted, job)
            except AnalysisFailed:
                return await self._give_up(wanted, job)
            if progress.outcome is not EssayOutcome.SCORED:
                await self._release_job(job)
            return progress

    async def _give_up(self, wanted: EssayInput, job: JobKey) -> EssayProgress:
        """Leave the essay to a reviewer; a published score stays."""
        log.warning("essay_given_up", essay=str(wanted.essay), revision=wanted.run.revision)
        if wanted.run.revision > 1:
            raise GraderFailed(f"Essay {wanted.essay} could not be graded")
        async with self._database.statement() as uow:
            essay = essay_of(await uow.assessments.items(wanted.run.assessment_id), wanted.essay)
            spent = await uow.model_answers.spent(wanted.run.assessment_id)
            score = ungraded_essay(essay, spent.get(wanted.essay))
            await uow.jobs.succeed(job, score)
        return _scored(score)

    async def _release_job(self, job: JobKey) -> None:
        """Mark this execution as completed, so that the next one does not count it as a lost attempt."""
        async with self._database.statement() as uow:
            await uow.jobs.release([job])

    async def _advance(self, wanted: EssayInput, job: JobKey) -> EssayProgress:
        async with self._database.statement() as uow:
            items = await uow.assessments.items(wanted.run.assessment_id)
        outcome = await self.grade(wanted.run.assessment_id, essay_of(items, wanted.essay), wanted.epoch)
        if isinstance(outcome, EssayProgress):
            return outcome
        async with self._database.statement() as uow:
            await uow.jobs.succeed(job, outcome)
        return _scored(outcome)

    async def grade(self, assessment_id: UUID, essay: Essay, epoch: int) -> EssayScore | EssayProgress:
        """Return the score from the stored replies, or request one reply and return what is due next.

        If the call for a further sample of a doubtful essay fails, the samples before it count, and a reviewer checks
        the essay. Such a call is not retried, because it was made only to spare the review.

        Raises:
            AnalysisFailed: the essay's text cannot be analysed.
        """
        (essay,) = await self._copies.add(assessment_id, [essay])
        async with self._database.statement() as uow:
            organization_id, settings = await uow.organizations.of_assessment(assessment_id)
        essay, key = await self._examples.add(essay, self._key(assessment_id, essay, epoch), self._model, settings)
        async with self._database.statement() as uow:
            stored = await uow.model_answers.replies(key)
        replies = {call: self._model.read(raw) for call, raw in stored.items()}
        samples = self._grading.samples
        calibration = await self._calibrations.of(organization_id, self._model)
        more = MoreSamples(most=self._grading.most_samples, calibration=calibration)
        due = await self._analysis.run(next_call, essay, replies, samples, more)
        if isinstance(due, Call):
            request = await self._analysis.run(build_request, essay, replies, due)
            try:
                raw = await self._buy(replace(key, call=due), request)
            except Conflict:  # another execution has just paid for it
                return EssayProgress(outcome=EssayOutcome.AGAIN, next_call=str(due))
            except (ExternalServiceError, AttemptsExceeded) as error:
                if due.sample >= samples:
                    log.warning("further_sample_failed", essay=str(essay.snapshot_id), error=type(error).__name__)
                    more = replace(more, most=due.sample)
                elif reason := _UNSCORABLE.get(type(error)):
                    return await self._unscorable(key, reason)
                else:
                    raise
            else:
                replies |= {due: self._model.read(raw)}
            due = await self._analysis.run(next_call, essay, replies, samples, more)
        match due:
            case Accepted() | LeftToPerson():
                return await self._score(assessment_id, essay, due)
            case Unscorable(reason=reason):
                return await self._unscorable(key, reason)
            case Call():
                return EssayProgress(outcome=EssayOutcome.AGAIN, next_call=str(due))

    def _key(self, assessment_id: UUID, essay: Essay, epoch: int) -> CompletionKey:
        return CompletionKey(
            assessment_id=assessment_id,
            snapshot_id=essay.snapshot_id,
            rubric_version=essay.rubric_version,
            prompt_version=self._model.prompt_version,
            model=self._model.model,
            epoch=epoch,
            call=Call(0, 0, Variant.FULL),
        )

    async def _unscorable(self, key: CompletionKey, reason: DegradedReason) -> EssayProgress:
        """Grade again without examples if there are any, because they may be the cause of a refusal."""
        if key.examples and reason.needs_person:
            await self._examples.drop(key)
            return EssayProgress(outcome=EssayOutcome.AGAIN, next_call=WITHOUT_EXAMPLES)
        return EssayProgress(outcome=EssayOutcome.UNSCORABLE, reason=reason)

    async def _buy(self, key: CompletionKey, wanted: GradingRequest) -> bytes:
        """Reserve the answer, call the model and store the raw reply. A failed call releases its reservation."""
        reservation = Reservation(
            key=key,
            lease_s=self._model.deadline_s + LEASE_SLACK_S,
            highest_price_cents=self._model.highest_price_cents(wanted),
        )
        async with self._database.transaction() as uow:
            claim = await uow.model_answers.reserve(reservation, self._grading.limits)
            await uow.commit()
        try:
            completion = await self._model.complete(wanted)
        except (Exception, asyncio.CancelledError):
            await self._release(key, claim)
            raise
        return await asyncio.shield(self._keep(key, completion))

    async def _keep(self, key: CompletionKey, completion: Completion) -> bytes:
        """Store a paid reply, with retries while the database is unavailable, even when the activity is cancelled."""
        ends = time.monotonic() + KEEP_WITHIN_S
        while True:
            try:
                async with self._database.statement() as uow:
                    kept = await uow.model_answers.record(key, completion)
            except StorageUnavailable:
                if time.monotonic() > ends:
                    raise
                await asyncio.sleep(KEEP_AGAIN_S)
            else:
                return kept

    async def _release(self, key: CompletionKey, claim: datetime) -> None:
        """Release the reservation (best effort); otherwise it expires with its lease."""
        with contextlib.suppress(AppError, OSError):
            async with self._database.statement() as uow:
                await uow.model_answers.release(key, claim)

    async def _score(self, assessment_id: UUID, essay: Essay, answer: Accepted | LeftToPerson) -> EssayScore:
        async with self._database.statement() as uow:
            spent = (await uow.model_answers.spent(assessment_id))[essay.snapshot_id]
        model, prompt_version = self._model.model, self._model.prompt_version
        return await self._analysis.run(essay_score, essay, answer, spent, model=model, prompt_version=prompt_version)

    def is_current(self, score: EssayScore, rubric_version: str) -> bool:
        """Return whether the score was given by this model with this prompt and this version of the question."""
        graded_by = (score.model, score.prompt_version, score.rubric_version)
        return graded_by == (self._model.model, self._model.prompt_version, rubric_version)


def _scored(score: EssayScore) -> EssayProgress:
    return EssayProgress(outcome=EssayOutcome.SCORED, needs_review=score.needs_review)
