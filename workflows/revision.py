"""The workflow of later revisions of a result: it heals degraded parts and publishes reviews."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributePair
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.await_provider import AwaitInput, AwaitProvider
    from activities.begin_revision import BeginRevision, EssayToRegrade, RevisionPlan, RevisionRequest
    from activities.end_healing import EndHealing, HealingEnd
    from activities.score_essay import EssayInput
    from activities.score_essays_locally import EssaysInput, LeftEssay, ScoreEssaysLocally
    from activities.steps import RunInput
    from domain.assessments.lifecycle import AssessmentStatus, Healing
    from domain.grading.scores import DegradedReason
    from workflows.engine import search_attributes, static_details
    from workflows.essays import GradingAttempt, grade
    from workflows.pipeline import (
        FEWER_STEPS,
        UNRECORDED,
        attributes_of,
        describe_failure,
        failure_message,
        reason_of,
        recommend_and_publish,
        retrieve,
    )
    from workflows.policies import (
        EPOCHS,
        HEALING_ENDS_AFTER,
        HEALING_FIRST,
        HEALING_LONGEST,
        activity_options,
        versioning,
    )
    from workflows.progress import REVISION_STAGES, Stage, StagedWorkflow


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionInput:
    """`retry_after_s` is the wait that a provider asked for before healing; the Web UI shows `last_failure`."""

    assessment_id: UUID
    retry_after_s: float = 0.0
    last_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionOutcome:
    """The last revision that this run published (0 for none), and the final state of healing."""

    revision: int
    healing: Healing


@workflow.defn(versioning_behavior=versioning("RevisionWorkflow"))
class RevisionWorkflow(StagedWorkflow):
    """Publishes the later revisions of one result.

    Id: `revision-{assessment_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING.
    Signals: `retry_degraded` heals now; `provider_answers` heals if the run waits for a provider; `reviewed` publishes
    new reviews.
    Queries: `progress`.
    Updates: none.
    End: when there is nothing left to improve, or after `HEALING_ENDS_AFTER`.
    """

    stages = REVISION_STAGES

    @workflow.init
    def __init__(self, revision: RevisionInput) -> None:
        super().__init__()
        self._progress = replace(self._progress, last_failure=revision.last_failure)
        self._id = revision.assessment_id
        self._ends = workflow.now() + HEALING_ENDS_AFTER
        self._backoff = HEALING_FIRST
        self._next_heal = workflow.now()
        self._put_off(revision.retry_after_s)
        self._woken = False
        self._at_once = False
        self._awaits_provider = False
        self._rejections: dict[UUID, int] = {}
        self._revision = 0

    @workflow.run
    async def run(self, revision: RevisionInput) -> RevisionOutcome:
        """Plan and publish one revision at a time. `__init__` has already read the argument `revision`."""
        gated = workflow.patched("wait-for-the-gate-of-a-provider")  # older builds poll the provider
        try:
            while True:
                await self._wait()
                due = workflow.now() >= self._next_heal
                if gated:
                    due = not self._woken and await self._wait_for_provider()
                    if workflow.now() >= self._ends:
                        return await self._give_up()
                # Reset before the plan is read, so that a signal that arrives later wakes this loop again.
                heal, self._woken = self._at_once or due, False
                plan = await workflow.execute_activity_method(
                    BeginRevision.begin_revision,
                    RevisionRequest(assessment_id=revision.assessment_id, heal=heal),
                    **activity_options("begin_revision", "Find degraded parts and new reviews"),
                )
                if plan.reviews:
                    await self._publish(plan)
                elif plan.healing and heal:
                    self._at_once = False
                    if not await self._heal(plan):
                        return await self._give_up()
                elif not plan.healing and not self._woken:
                    return self._finish(Healing.NONE)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self._stop(error)

    @workflow.signal
    def retry_degraded(self) -> None:
        self._at_once = self._woken = True
        self._rejections.clear()

    @workflow.signal
    def provider_answers(self) -> None:
        if self._awaits_provider:
            self._at_once = self._woken = True

    @workflow.signal
    def reviewed(self) -> None:
        self._woken = True

    async def _wait(self) -> None:
        pause = self._next_heal - workflow.now()
        if self._woken or pause <= timedelta():
            return
        self.show(Stage.WAITING, next_attempt=self._next_heal, gives_up=self._ends)
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._woken, timeout=pause, timeout_summary="Next healing attempt")
        self.show(Stage.WAITING, next_attempt=None, gives_up=None)

    async def _wait_for_provider(self) -> bool:
        """Wait until a gate releases this run, another signal arrives or healing ends. Return whether to heal.

        The activity fails until the result needs no provider, and is retried at most once an hour. Its attempts add
        nothing to the history.
        """
        self._awaits_provider = True
        self.show(Stage.WAITING, awaits_provider=True, gives_up=self._ends)
        waiting = workflow.start_activity_method(
            AwaitProvider.await_provider,
            AwaitInput(assessment_id=self._id),
            **activity_options("await_provider", "Wait for the gate of the provider"),
        )
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._woken or waiting.done(),
                timeout=self._ends - workflow.now(),
                timeout_summary="End of healing",
            )
        self._awaits_provider = False
        self.show(Stage.WAITING, awaits_provider=False, gives_up=None)
        if waiting.done():
            await waiting
            return True
        waiting.cancel()
        with suppress(ActivityError):
            await waiting
        return False

    async def _heal(self, plan: RevisionPlan) -> bool:
        """Retry the degraded parts and publish improvements. Return False if there is nothing left to retry."""
        essays = [essay for essay in plan.essays if self._rejections.get(essay.essay, 0) < EPOCHS]
        if workflow.now() >= self._ends or not (essays or plan.evidence):
            return False
        self.show(Stage.SCORING, essays_total=len(essays), essays_scored=0)
        # One at a time: a half-open circuit lets only one call through.
        attempts = [await self._grade(plan, essay) for essay in essays]
        better = sum(attempt.reason is None for attempt in attempts) + await self._leave_to_person(
            plan, essays, attempts
        )
        self.show(Stage.RETRIEVING, essays_scored=better)
        if better or plan.evidence:
            await self._publish(plan, anyway=better > 0)
        self._put_off(max((attempt.retry_after_s for attempt in attempts), default=0.0))
        return True

    async def _grade(self, plan: RevisionPlan, essay: EssayToRegrade) -> GradingAttempt:
        rejections = self._rejections.get(essay.essay, 0)
        # The first attempt reads the stored completions of the last epoch; only later ones request new completions.
        epoch = essay.epoch + min(rejections, 1)
        wanted = EssayInput(run=_run(self._id, plan), essay=essay.essay, epoch=epoch)
        attempt = await grade(wanted, "Essay")
        # Older builds, which may have started this run, count every reason of an unscorable essay as a rejection.
        if attempt.reason is DegradedReason.ESSAY_ANSWER_REJECTED or (attempt.reason and attempt.reason.needs_person):
            self._rejections[essay.essay] = rejections + 1
        if attempt.reason is DegradedReason.GRADER_FAILED:
            self._rejections[essay.essay] = EPOCHS
        if attempt.failure is not None:
            self.show(self._progress.stage, last_failure=attempt.failure)
        return attempt

    async def _leave_to_person(
        self, plan: RevisionPlan, essays: Sequence[EssayToRegrade], attempts: Sequence[GradingAttempt]
    ) -> int:
        """Score essays locally, for review, if the model can never grade them. Return their number."""
        left = tuple(
            LeftEssay(essay=essay.essay, reason=attempt.reason)
            for essay, attempt in zip(essays, attempts, strict=True)
            if attempt.reason is not None and attempt.reason.needs_person
        )
        # Older builds retry such an essay. Runs without such an essay do not record the patch.
        if not left or not workflow.patched("leave-refused-essays-to-a-person"):
            return 0
        scored = await workflow.execute_activity_method(
            ScoreEssaysLocally.score_essays_locally,
            EssaysInput(run=_run(self._id, plan), essays=left),
            **activity_options("score_essays_locally", f"Grade {len(left)} essay(s) locally, for review"),
        )
        return scored.scored

    async def _publish(self, plan: RevisionPlan, *, anyway: bool = True) -> None:
        """Publish the revision, then plan again at once.

        Without `anyway`, the revision is only published if its evidence is no longer degraded.
        """
        run = _run(self._id, plan)
        self.show(Stage.RETRIEVING)
        evidence = await retrieve(run)
        if evidence.degraded_reasons and not anyway:
            texts = " ".join(DegradedReason(reason).text for reason in evidence.degraded_reasons)
            self.show(self._progress.stage, last_failure=f"retrieve_evidence: {texts}")
            return
        fewer_steps = workflow.patched(FEWER_STEPS)
        publication = await recommend_and_publish(run, self.show, fewer_steps=fewer_steps)
        if fewer_steps:
            workflow.upsert_search_attributes(attributes_of(publication))
        self.published(publication)
        self._revision = publication.revision
        self._woken = True

    def _put_off(self, retry_after_s: float) -> None:
        self._next_heal = workflow.now() + max(self._backoff, timedelta(seconds=retry_after_s))
        self._backoff = min(2 * self._backoff, HEALING_LONGEST)

    async def _give_up(self) -> RevisionOutcome:
        return self._finish(await self._end(Healing.FINAL))

    async def _stop(self, error: ActivityError) -> NoReturn:
        """End healing after an internal error. The published result stays valid."""
        reason = reason_of(error)
        self.show(Stage.FAILED, last_failure=describe_failure(error))
        workflow.upsert_search_attributes([search_attributes.FAILURE_REASON.value_set(reason)])
        if reason not in UNRECORDED:
            await self._end(Healing.STOPPED, reason)
        raise ApplicationError(
            failure_message(error, f"POST /api/v1/assessments/{self._id}/retry"),
            type="HealingStopped",
            non_retryable=True,
        ) from error

    async def _end(self, healing: Healing, reason: str | None = None) -> Healing:
        return await workflow.execute_activity_method(
            EndHealing.end_healing,
            HealingEnd(assessment_id=self._id, healing=healing, reason=reason),
            **activity_options("end_healing", f"Record the state of healing: {healing}"),
        )

    def _finish(self, healing: Healing) -> RevisionOutcome:
        self.show(Stage.DONE)
        return RevisionOutcome(revision=self._revision, healing=healing)


async def start_healing(revision: RevisionInput) -> None:
    """Start the revision workflow of a result that was just published, unless it is already running."""
    info = workflow.info()
    published = SearchAttributePair(search_attributes.ASSESSMENT_STATUS, str(AssessmentStatus.COMPLETED))
    try:
        await workflow.start_child_workflow(
            RevisionWorkflow.run,
            revision,
            id=f"revision-{revision.assessment_id}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=f"Revise assessment {revision.assessment_id}",
            static_details=static_details.REVISION,
            search_attributes=info.typed_search_attributes.updated(published),
            priority=info.priority,
        )
    except WorkflowAlreadyStartedError:
        return


def _run(assessment_id: UUID, plan: RevisionPlan) -> RunInput:
    return RunInput(assessment_id=assessment_id, run=plan.run, revision=plan.revision)
