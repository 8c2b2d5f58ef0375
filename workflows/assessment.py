"""The workflow of an assessment, from its submission to the published result."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.claim_assessment import Claim, ClaimAssessment, ClaimInput, ClaimOutcome
    from activities.mark_failed import NO_RUN, FailureInput, MarkFailed
    from activities.score_essay import EssayInput
    from activities.score_essays_locally import EssaysInput, LeftEssay, ScoreEssaysLocally
    from activities.score_rules import ScoreRules
    from activities.steps import RunInput
    from domain.assessments.lifecycle import AssessmentStatus
    from domain.assessments.results import Publication
    from domain.grading.scores import DegradedReason
    from workflows.deliveries import start_deliveries
    from workflows.engine import search_attributes
    from workflows.essays import gather_all, grade
    from workflows.pipeline import (
        FEWER_STEPS,
        ROWLESS,
        UNRECORDED,
        attributes_of,
        describe_failure,
        failure_message,
        reason_of,
        recommend_and_publish,
        retrieve,
    )
    from workflows.policies import activity_options, versioning
    from workflows.progress import Stage, StagedWorkflow
    from workflows.revision import RevisionInput, start_healing


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentInput:
    assessment_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentOutcome:
    """The result of a run; `revision` is 0 if the run published nothing. `held`: it was held when it was published."""

    status: AssessmentStatus
    revision: int = 0
    degraded_reasons: tuple[str, ...] = ()
    held: bool = False


@workflow.defn(versioning_behavior=versioning("AssessmentWorkflow"))
class AssessmentWorkflow(StagedWorkflow):
    """Scores a submitted or expired assessment, and publishes the result.

    Id: `assessment-{assessment_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING, because Postgres
    decides what a run may do. Every start carries the signal `submit`, because runs that an earlier release started
    with the assessment wait for it. A run also waits if its row is in progress, for example after a restore.
    Signals: `submit` checks now whether the answers are submitted.
    Queries: `progress`.
    Updates: none.
    End: when the result is published, or at once if there is nothing to do.
    """

    @workflow.init
    def __init__(self, assessment: AssessmentInput) -> None:
        super().__init__()
        self._assessment = assessment
        self._submitted = False
        self._fewer_steps = False
        self._retry_after_s = 0.0

    @workflow.run
    async def run(self, assessment: AssessmentInput) -> AssessmentOutcome:
        self.show(Stage.SCORING if self._submitted else Stage.ANSWERING)
        self._fewer_steps = self._takes_fewer_steps()
        run_number = 0
        try:
            claim = await self._claimed(assessment)
            if claim.outcome is ClaimOutcome.FINISHED:
                await start_deliveries(claim.deliveries)
                return self._finish(AssessmentOutcome(status=claim.status))
            run_number = claim.run
            if not self._fewer_steps:
                workflow.upsert_search_attributes([search_attributes.ASSESSMENT_STATUS.value_set(claim.status)])
            publication = await self._process(claim)
            self.published(publication)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return await self._end_without_result(run_number, error)
        if publication.heals:
            failure = self._progress.last_failure
            await start_healing(
                RevisionInput(
                    assessment_id=assessment.assessment_id, retry_after_s=self._retry_after_s, last_failure=failure
                )
            )
        return self._finish(
            AssessmentOutcome(
                status=AssessmentStatus.COMPLETED,
                revision=publication.revision,
                degraded_reasons=publication.degraded_reasons,
                held=publication.held,
            ),
            *(attributes_of(publication) if self._fewer_steps else ()),
        )

    @workflow.signal
    def submit(self) -> None:
        self._submitted = True

    def _takes_fewer_steps(self) -> bool:
        """Return False for a run that an older build started: that build claims and publishes with own activities."""
        return workflow.patched(FEWER_STEPS)

    async def _claimed(self, assessment: AssessmentInput) -> Claim:
        """Wait until the database confirms that the assessment is submitted or expired."""
        wait = max(assessment.expires_at - workflow.now(), timedelta())
        while True:
            await self._wait_for_submission(wait)
            self._submitted = False  # reset before the claim, so that a later signal wakes this loop again
            claim = await self._claim(ClaimInput(assessment_id=assessment.assessment_id))
            if claim.outcome is not ClaimOutcome.NOT_DUE:
                return claim
            self.show(Stage.ANSWERING)
            wait = timedelta(seconds=claim.wait_s)

    async def _claim(self, wanted: ClaimInput) -> Claim:
        if not self._fewer_steps:
            return await workflow.execute_activity_method(
                ClaimAssessment.claim_assessment,
                wanted,
                **activity_options("claim_assessment", "Check for a submission or the deadline"),
            )
        claim: Claim = await workflow.execute_activity(
            "score_rules",
            wanted,
            result_type=Claim,
            **activity_options("score_rules", "Claim the submission and score the answers to closed questions"),
        )
        return claim

    async def _wait_for_submission(self, wait: timedelta) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._submitted, timeout=wait, timeout_summary="Deadline of the assessment"
            )
        except asyncio.TimeoutError:  # noqa: UP041 - the SDK raises this type on every Python version
            return

    async def _process(self, claim: Claim) -> Publication:
        run = RunInput(assessment_id=self._assessment.assessment_id, run=claim.run, revision=claim.revision)
        self.show(Stage.SCORING, essays_total=len(claim.essays))
        if self._fewer_steps:
            await self._score_essays(run, claim)
        else:
            await gather_all(self._score_rules(run), self._score_essays(run, claim))
        self.show(Stage.RETRIEVING)
        self.note((await retrieve(run)).degraded_reasons)
        return await recommend_and_publish(run, self.show, fewer_steps=self._fewer_steps)

    async def _score_rules(self, run: RunInput) -> None:
        await workflow.execute_activity_method(
            ScoreRules.score_rules, run, **activity_options("score_rules", "Score the answers to closed questions")
        )

    async def _score_essays(self, run: RunInput, claim: Claim) -> None:
        """Grade essays in parallel with the language model, if configured; grade the rest with the local grader."""
        if claim.by_model:
            names = [f"Essay {place} of {len(claim.essays)}" for place in range(1, len(claim.essays) + 1)]
            graded = await gather_all(*map(self._grade, [run] * len(names), claim.essays, names))
            left = tuple(essay for essay in graded if essay is not None)
        else:
            reason = DegradedReason.ESSAY_GRADER_NOT_CONFIGURED
            left = tuple(LeftEssay(essay=essay, reason=reason) for essay in claim.essays)
        if left:
            await self._score_locally(run, left)

    async def _grade(self, run: RunInput, essay: UUID, name: str) -> LeftEssay | None:
        attempted = await grade(EssayInput(run=run, essay=essay), name)
        if attempted.reason is None:
            self.show(self._progress.stage, essays_scored=self._progress.essays_scored + 1)
            return None
        self.show(self._progress.stage, last_failure=attempted.failure)
        self._retry_after_s = max(self._retry_after_s, attempted.retry_after_s)
        return LeftEssay(essay=essay, reason=attempted.reason)

    async def _score_locally(self, run: RunInput, left: tuple[LeftEssay, ...]) -> None:
        self.note(essay.reason for essay in left)
        scored = await workflow.execute_activity_method(
            ScoreEssaysLocally.score_essays_locally,
            EssaysInput(run=run, essays=left),
            **activity_options("score_essays_locally", f"Grade {len(left)} essay(s) with the local grader"),
        )
        self.show(self._progress.stage, essays_scored=self._progress.essays_scored + scored.scored)

    async def _end_without_result(self, run_number: int, error: ActivityError) -> AssessmentOutcome:
        """Record the failure in Postgres, then fail the run. A run that does not match its row changes no status.

        Such a run was reset after its end, or its server or Postgres was restored. If its row has a result, the run
        ends as completed.
        """
        # Older builds set the status without asking Postgres. Runs without a failure do not record the patch.
        if not workflow.patched("status-of-the-row-after-a-failure"):
            await self._fail(run_number, error)
        reason = reason_of(error)
        self.show(Stage.FAILED, last_failure=describe_failure(error))
        attributes = [search_attributes.FAILURE_REASON.value_set(reason)]
        if reason not in ROWLESS:
            failed = await workflow.execute_activity_method(
                MarkFailed.mark_failed,
                FailureInput(
                    assessment_id=self._assessment.assessment_id,
                    run=NO_RUN if reason in UNRECORDED else run_number,
                    reason=reason,
                ),
                **activity_options("mark_failed", f"Record the failure: {reason}"),
            )
            await start_deliveries(failed.deliveries)
            if failed.status is AssessmentStatus.COMPLETED:
                return self._finish(AssessmentOutcome(status=failed.status))
            attributes.append(search_attributes.ASSESSMENT_STATUS.value_set(failed.status))
        workflow.upsert_search_attributes(attributes)
        raise self._failure(error) from error

    async def _fail(self, run_number: int, error: ActivityError) -> NoReturn:
        """Do what older builds do after a failure."""
        reason = reason_of(error)
        self.show(Stage.FAILED, last_failure=describe_failure(error))
        workflow.upsert_search_attributes(
            [
                search_attributes.ASSESSMENT_STATUS.value_set(AssessmentStatus.FAILED),
                search_attributes.FAILURE_REASON.value_set(reason),
            ]
        )
        if reason not in UNRECORDED:
            failed = await workflow.execute_activity_method(
                MarkFailed.mark_failed,
                FailureInput(assessment_id=self._assessment.assessment_id, run=run_number, reason=reason),
                **activity_options("mark_failed", f"Record the failure: {reason}"),
            )
            await start_deliveries(failed.deliveries)
        raise self._failure(error) from error

    def _failure(self, error: ActivityError) -> ApplicationError:
        return ApplicationError(
            failure_message(error, f"POST /api/v1/assessments/{self._assessment.assessment_id}/rerun"),
            type="AssessmentFailed",
            non_retryable=True,
        )

    def _finish(self, outcome: AssessmentOutcome, *more: SearchAttributeUpdate[Any]) -> AssessmentOutcome:
        self.show(Stage.DONE)
        workflow.upsert_search_attributes([search_attributes.ASSESSMENT_STATUS.value_set(outcome.status), *more])
        return outcome
