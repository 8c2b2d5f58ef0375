"""The workflow of a re-score: it does one batch of work per run and continues as new."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.advance_rescore import AdvanceRescore, EssayToRescore, RescoreKey, RescoreStep
    from activities.finish_rescore_batch import BatchEnd, FinishRescoreBatch, UngradedEssay
    from activities.rescore_essay import RescoreEssay, RescoreEssayLocally
    from activities.stop_rescore import RescoreStop, StopRescore
    from domain.grading.scores import DegradedReason
    from domain.rescores.rescores import RescoreStatus
    from workflows.essays import gather_all, grade_with
    from workflows.pipeline import UNRECORDED, failure_message, reason_of
    from workflows.policies import activity_options, versioning

ESSAYS_AT_ONCE: Final = 4
"""Essays that one re-score grades at the same time. New submissions share the same queue."""
MODEL_PAUSE: Final = timedelta(minutes=1)
MODEL_ROUNDS: Final = 30
"""While the provider does not respond, an essay is tried again every minute, for half an hour. If the provider asks for
a longer pause, it is tried as often as the half hour allows."""
_INTERRUPTIBLE: Final = "end-the-wait-for-a-model-early"
"""The id of the patch. Older builds wait as long as a provider asks, and do not end a wait when a request discards the
re-score. Runs without a wait or a signal during a batch do not record the patch."""

_PAUSE_SUMMARY: Final = "Retry after the language model did not respond"

STOPS: Final = frozenset(
    {
        DegradedReason.ESSAY_BUDGET_SPENT,
        DegradedReason.ESSAY_GRADER_KEY_REFUSED,
        DegradedReason.ESSAY_GRADER_LOCAL,
        DegradedReason.ESSAY_GRADER_MODEL_UNKNOWN,
        DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
        DegradedReason.ESSAY_GRADER_QUOTA_EXHAUSTED,
        DegradedReason.ESSAY_GRADER_REQUEST_REFUSED,
    }
)
"""The reasons that concern all essays. They end the computation; other reasons concern one essay."""

_TITLES: Final = {
    RescoreStatus.QUEUED: "Starting",
    RescoreStatus.COMPUTING: "Computing differences",
    RescoreStatus.COMPUTED: "Computed. Nothing is published until an admin applies it.",
    RescoreStatus.STOPPED: "Stopped early",
    RescoreStatus.APPLYING: "Publishing the chosen differences",
    RescoreStatus.DISCARDING: "Deleting the differences",
    RescoreStatus.DISCARDED: "Discarded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreInput:
    """`status`, `done`, `total` and `cents` are those of the previous run, for the Web UI."""

    rescore_id: UUID
    status: RescoreStatus = RescoreStatus.QUEUED
    done: int = 0
    total: int = 0
    cents: Decimal = Decimal(0)


@workflow.defn(versioning_behavior=versioning("RescoreWorkflow"))
class RescoreWorkflow:
    """Computes, applies or discards a re-score. Postgres decides which of these is due.

    Id: `rescore-{rescore_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING. Each run does one batch and
    continues as new, so that no history grows.
    Signals: `changed` checks the re-score again, because a request changed its state.
    Queries, updates: none.
    End: when the re-score is computed, stopped, applied or discarded.
    """

    @workflow.init
    def __init__(self, rescore: RescoreInput) -> None:
        self._rescore = rescore
        self._changed = False
        self._stop: DegradedReason | None = None

    @workflow.run
    async def run(self, rescore: RescoreInput) -> RescoreInput:
        _show(rescore)
        self._changed = False  # reset before the state is read, so that a later signal repeats the check
        try:
            step = await self._advance()
            if step.unfinished:
                await self._finish(step)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self._fail(error)
        state = _state(rescore.rescore_id, step)
        if step.status.is_working or self._changed:
            workflow.continue_as_new(state)
        _show(state)
        return state

    @workflow.signal
    def changed(self) -> None:
        self._changed = True

    async def _advance(self) -> RescoreStep:
        return await workflow.execute_activity_method(
            AdvanceRescore.advance_rescore,
            RescoreKey(rescore_id=self._rescore.rescore_id),
            **activity_options("advance_rescore", "Do the next batch"),
        )

    async def _finish(self, step: RescoreStep) -> None:
        """Grade the essays of the batch, then finish its differences."""
        _show(_state(self._rescore.rescore_id, step), f"Essays to grade in this batch: {len(step.essays)}")
        ungraded = await self._grade(step.essays, by_model=step.by_model)
        await workflow.execute_activity_method(
            FinishRescoreBatch.finish_rescore_batch,
            BatchEnd(rescore_id=self._rescore.rescore_id, ungraded=ungraded, stop_reason=self._stop),
            **activity_options("finish_rescore_batch", f"Compare {step.unfinished} results"),
        )

    async def _grade(self, essays: Sequence[EssayToRescore], *, by_model: bool) -> tuple[UngradedEssay, ...]:
        """Grade the essays. Return those that cannot be graded, each with its reason."""
        turns = asyncio.Semaphore(ESSAYS_AT_ONCE)

        async def in_turn(number: int, essay: EssayToRescore) -> DegradedReason | None:
            async with turns:
                if self._stop or self._is_interrupted():
                    return None
                name = f"Essay {number} of {len(essays)}"
                return await (self._by_model(essay, name) if by_model else _locally(essay, name))

        reasons = await gather_all(*(in_turn(number, essay) for number, essay in enumerate(essays, start=1)))
        return tuple(
            UngradedEssay(essay=essay.essay, reason=reason)
            for essay, reason in zip(essays, reasons, strict=True)
            if reason is not None and reason not in STOPS
        )

    async def _by_model(self, essay: EssayToRescore, name: str) -> DegradedReason | None:
        """Grade the essay. Return the reason why it cannot be graded; None also if a signal or a stop ends the wait."""
        ends = workflow.now() + MODEL_ROUNDS * MODEL_PAUSE
        for _ in range(MODEL_ROUNDS):
            try:
                attempt = await grade_with(
                    lambda due: workflow.execute_activity_method(
                        RescoreEssay.rescore_essay,
                        essay,
                        **activity_options("rescore_essay", f"{name}, language model: {due}"),
                    )
                )
            except ActivityError as error:
                if reason_of(error) in UNRECORDED:  # the user is being erased, and the difference with them
                    return None
                raise
            if attempt.reason is not DegradedReason.ESSAY_GRADER_LOCAL or self._stop:
                break
            pause = max(MODEL_PAUSE, timedelta(seconds=attempt.retry_after_s))
            if not workflow.patched(_INTERRUPTIBLE):
                await workflow.sleep(pause, summary=_PAUSE_SUMMARY)
                continue
            if workflow.now() + pause > ends:
                break
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._changed or self._stop is not None, timeout=pause, timeout_summary=_PAUSE_SUMMARY
                )
            if self._changed or self._stop:
                return None
        if attempt.reason in STOPS:
            self._stop = attempt.reason
        return attempt.reason

    def _is_interrupted(self) -> bool:
        """Whether a signal came during the batch. The next run reads what is due; ungraded essays stay pending."""
        return self._changed and workflow.patched(_INTERRUPTIBLE)

    async def _fail(self, error: ActivityError) -> NoReturn:
        """Record an internal error as the reason of the stop, and end as failed."""
        reason = reason_of(error)
        if reason not in UNRECORDED:
            await workflow.execute_activity_method(
                StopRescore.stop_rescore,
                RescoreStop(rescore_id=self._rescore.rescore_id, reason=reason),
                **activity_options("stop_rescore", f"Stop: {reason}"),
            )
        raise ApplicationError(
            failure_message(error, "POST /api/v1/rescores again; stored replies cost nothing"),
            type="RescoreStopped",
            non_retryable=True,
        ) from error


async def _locally(essay: EssayToRescore, name: str) -> DegradedReason | None:
    try:
        await workflow.execute_activity_method(
            RescoreEssayLocally.rescore_essay_locally,
            essay,
            **activity_options("rescore_essay_locally", f"{name}, local grader"),
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return None if reason_of(error) in UNRECORDED else DegradedReason.GRADER_FAILED
    return None


def _state(rescore_id: UUID, step: RescoreStep) -> RescoreInput:
    return RescoreInput(rescore_id=rescore_id, status=step.status, done=step.done, total=step.total, cents=step.cents)


def _show(state: RescoreInput, *more: str) -> None:
    lines = [
        f"**{_TITLES[state.status]}**",
        f"- Assessments compared: {state.done:,} of {state.total:,}",
        f"- Paid for essays: {state.cents} cents",
        *(f"- {line}" for line in more),
        "\nAction: none. `GET /api/v1/rescores/{id}` has the summary. To end the re-score: `DELETE` it.",
    ]
    workflow.set_current_details("\n".join(lines))
