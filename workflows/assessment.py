"""One learner's assessment, from its start to its published result."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.blend_recommendations import BlendRecommendations
    from activities.claim_assessment import Claim, ClaimAssessment, ClaimInput, ClaimOutcome
    from activities.mark_failed import FailureInput, MarkFailed
    from activities.publish_result import PublishResult
    from activities.retrieve_evidence import RetrieveEvidence
    from activities.score_essays_locally import EssaysInput, EssaysResult, ScoreEssaysLocally
    from activities.score_rules import ScoreRules
    from activities.steps import RunInput
    from domain.assessments import AssessmentStatus
    from domain.results import Publication
    from workflows import search_attributes
    from workflows.policies import calling


class Stage(StrEnum):
    """Where a run is, in the order of the stages."""

    ANSWERING = "answering"
    SCORING = "scoring"
    RETRIEVING = "retrieving"
    RECOMMENDING = "recommending"
    PUBLISHING = "publishing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentInput:
    assessment_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentOutcome:
    """`revision` 0 where this run published nothing."""

    status: AssessmentStatus
    revision: int = 0
    degraded_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The answer to the query `progress`."""

    stage: Stage = Stage.ANSWERING
    essays_scored: int = 0
    essays_total: int = 0
    degraded_reasons: tuple[str, ...] = ()
    last_failure: str | None = None


@workflow.defn
class AssessmentWorkflow:
    """A run of an assessment.

    Id `assessment-{assessment_id}`, reuse ALLOW_DUPLICATE, conflict USE_EXISTING: Postgres decides what a run may do.
    Signal `submit`: the answers are in. Query `progress`. No updates. Runs until the result is published; a run that
    finds nothing to do ends at once.
    """

    @workflow.init
    def __init__(self, assessment: AssessmentInput) -> None:
        self._assessment = assessment
        self._submitted = False
        self._progress = Progress()

    @workflow.run
    async def run(self, assessment: AssessmentInput) -> AssessmentOutcome:
        self._show(Stage.ANSWERING)
        run_number = 0
        try:
            claim = await self._claimed(assessment)
            if claim.outcome is ClaimOutcome.FINISHED:
                return self._finish(AssessmentOutcome(status=claim.status))
            run_number = claim.run
            workflow.upsert_search_attributes([search_attributes.ASSESSMENT_STATUS.value_set(claim.status)])
            publication = await self._process(claim)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self._fail(run_number, error)
        return self._finish(
            AssessmentOutcome(
                status=AssessmentStatus.COMPLETED,
                revision=publication.revision,
                degraded_reasons=publication.degraded_reasons,
            ),
            needs_review=publication.needs_review,
        )

    @workflow.signal
    def submit(self) -> None:
        self._submitted = True

    @workflow.query
    def progress(self) -> Progress:
        return self._progress

    async def _claimed(self, assessment: AssessmentInput) -> Claim:
        """Waits for the submission or the expiry, whichever the database confirms."""
        wait = max(assessment.expires_at - workflow.now(), timedelta())
        while True:
            await self._wait_for_submission(wait)
            self._submitted = False  # before the claim reads: a signal that comes after it must wake this up again
            claim = await workflow.execute_activity_method(
                ClaimAssessment.claim_assessment,
                ClaimInput(assessment_id=assessment.assessment_id),
                **calling("claim_assessment", "Take up the assessment"),
            )
            if claim.outcome is not ClaimOutcome.NOT_DUE:
                return claim
            wait = timedelta(seconds=claim.wait_s)

    async def _wait_for_submission(self, wait: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._submitted, timeout=wait, timeout_summary="Until it expires")
        except asyncio.TimeoutError:  # noqa: UP041 - what the SDK raises on every Python
            return

    async def _process(self, claim: Claim) -> Publication:
        run = RunInput(assessment_id=self._assessment.assessment_id, run=claim.run, revision=claim.revision)
        self._progress = replace(self._progress, essays_total=len(claim.essays))
        self._show(Stage.SCORING)
        await asyncio.gather(
            workflow.execute_activity_method(
                ScoreRules.score_rules, run, **calling("score_rules", "Score choices, numbers and profile answers")
            ),
            self._score_essays(run, claim.essays),
        )
        self._show(Stage.RETRIEVING)
        evidence = await workflow.execute_activity_method(
            RetrieveEvidence.retrieve_evidence,
            run,
            **calling("retrieve_evidence", "Search the catalogue for every skill gap"),
        )
        self._note(evidence.degraded_reasons)
        self._show(Stage.RECOMMENDING)
        await workflow.execute_activity_method(
            BlendRecommendations.blend_recommendations,
            run,
            **calling("blend_recommendations", "Rank what was found"),
        )
        self._show(Stage.PUBLISHING)
        return await workflow.execute_activity_method(
            PublishResult.publish_result, run, **calling("publish_result", "Publish the result")
        )

    async def _score_essays(self, run: RunInput, essays: tuple[UUID, ...]) -> None:
        if not essays:
            return
        scored: EssaysResult = await workflow.execute_activity_method(
            ScoreEssaysLocally.score_essays_locally,
            EssaysInput(run=run, essays=essays),
            **calling("score_essays_locally", f"Grade {len(essays)} essay(s) with the local grader"),
        )
        self._progress = replace(self._progress, essays_scored=scored.scored)
        self._note(scored.degraded_reasons)
        self._show(self._progress.stage)

    async def _fail(self, run_number: int, error: ActivityError) -> NoReturn:
        """Writes the failure down where people look for it, then closes the run as failed."""
        cause = error.cause
        reason = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
        self._progress = replace(self._progress, last_failure=f"{error.activity_type}: {reason}")
        self._show(Stage.FAILED)
        workflow.upsert_search_attributes(
            [
                search_attributes.ASSESSMENT_STATUS.value_set(AssessmentStatus.FAILED),
                search_attributes.FAILURE_REASON.value_set(reason),
            ]
        )
        # Where Postgres has no such assessment, or erases its person, there is nothing to write the failure on.
        if reason not in {"NotFound", "Erased"}:
            await workflow.execute_activity_method(
                MarkFailed.mark_failed,
                FailureInput(assessment_id=self._assessment.assessment_id, run=run_number, reason=reason),
                **calling("mark_failed", f"Record the failure: {reason}"),
            )
        raise ApplicationError(
            f"{error.activity_type} failed: {reason}",
            type="AssessmentFailed",
            non_retryable=True,
        ) from error

    def _finish(self, outcome: AssessmentOutcome, *, needs_review: bool = False) -> AssessmentOutcome:
        self._show(Stage.DONE)
        attributes: list[SearchAttributeUpdate[Any]] = [search_attributes.ASSESSMENT_STATUS.value_set(outcome.status)]
        if outcome.revision:
            attributes += [
                search_attributes.DEGRADED.value_set(bool(outcome.degraded_reasons)),
                search_attributes.NEEDS_REVIEW.value_set(needs_review),
            ]
        workflow.upsert_search_attributes(attributes)
        return outcome

    def _note(self, reasons: tuple[str, ...]) -> None:
        noted = self._progress.degraded_reasons
        self._progress = replace(
            self._progress, degraded_reasons=noted + tuple(reason for reason in reasons if reason not in noted)
        )

    def _show(self, stage: Stage) -> None:
        """Moves to a stage and redraws the checklist that the Web UI shows."""
        self._progress = replace(self._progress, stage=stage)
        workflow.set_current_details(checklist(self._progress))


def checklist(progress: Progress) -> str:
    """The stages as Markdown: done, current and to come; essays and degraded parts named."""
    order = [stage for stage in Stage if stage is not Stage.FAILED]
    if progress.stage is Stage.FAILED:
        lines = [f"**failed**: {progress.last_failure}"]
    else:
        current = order.index(progress.stage)
        lines = [
            f"- [{'x' if at < current or stage is progress.stage is Stage.DONE else ' '}] {stage}"
            + (" **← now**" if at == current and stage is not Stage.DONE else "")
            for at, stage in enumerate(order)
        ]
    if progress.essays_total:
        lines.append(f"\nEssays graded: {progress.essays_scored} of {progress.essays_total}")
    if progress.degraded_reasons:
        lines.append(f"\nDegraded: {', '.join(progress.degraded_reasons)}")
    return "\n".join(lines)
