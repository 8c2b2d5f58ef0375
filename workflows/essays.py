"""Grade an essay with the language model, one completion per activity."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState
from temporalio.exceptions import TimeoutError as TemporalTimeout

with workflow.unsafe.imports_passed_through():
    from activities.score_essay import EssayInput, EssayOutcome, EssayProgress, ScoreEssay
    from domain.grading.scores import DegradedReason
    from workflows.pipeline import describe_failure
    from workflows.policies import FALLBACKS, STORAGE_PAUSE, activity_options


Graded = TypeVar("Graded")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingAttempt:
    """The outcome of grading an essay. It is graded if it has no `reason`.

    `failure` describes the failure for operators. `retry_after_s` is the wait that the provider asks for.
    """

    reason: DegradedReason | None = None
    failure: str | None = None
    retry_after_s: float = 0.0


async def grade(essay: EssayInput, name: str) -> GradingAttempt:
    """Request completions until the essay is scored, or return the reason why the fallback must grade it.

    Raises:
        ActivityError: a failure that the fallback cannot handle.
    """
    return await grade_with(
        lambda due: workflow.execute_activity_method(
            ScoreEssay.score_essay, essay, **activity_options("score_essay", f"{name}, language model: {due}")
        )
    )


async def grade_with(request: Callable[[str], Awaitable[EssayProgress]]) -> GradingAttempt:
    """Grade an essay as `grade` does, with another activity. `request` executes it for the completion it names."""
    due = "first completion"
    while True:
        try:
            progress = await request(due)
        except ActivityError as error:
            if _is_storage_outage(error):
                await workflow.sleep(STORAGE_PAUSE, summary="Retry after the database failed")
                continue
            return _fallback(error)
        if progress.outcome is EssayOutcome.SCORED:
            return GradingAttempt()
        if progress.outcome is EssayOutcome.UNSCORABLE:
            return GradingAttempt(reason=progress.reason, failure=progress.reason.text)
        due = progress.next_call


async def gather_all(*awaitables: Awaitable[Graded]) -> list[Graded]:
    """Wait for all, then return their results or raise the first failure. A failure must not cancel paid calls."""
    ended = await asyncio.gather(*awaitables, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if not isinstance(each, BaseException)]


def _is_storage_outage(error: ActivityError) -> bool:
    """Whether Postgres was unavailable: the essay then waits instead of being degraded."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == "StorageUnavailable"


def _fallback(error: ActivityError) -> GradingAttempt:
    cause = error.cause
    if isinstance(cause, TemporalTimeout):
        return GradingAttempt(reason=DegradedReason.ESSAY_GRADER_LOCAL, failure=describe_failure(error))
    if not isinstance(cause, ApplicationError):
        raise error
    reason = FALLBACKS.get(cause.type or "") or _reason_of_exhausted_attempts(error)
    wait = cause.details[0] if cause.details else 0.0
    return GradingAttempt(reason=reason, failure=describe_failure(error), retry_after_s=float(wait))


def _reason_of_exhausted_attempts(error: ActivityError) -> DegradedReason:
    """Return the reason if a retry could have helped, for example after a lost attempt; otherwise raise the error."""
    exhausted = error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED
    # Older builds fail the run. Runs without such an error do not record the patch.
    if not exhausted or not workflow.patched("fall-back-after-the-last-attempt"):
        raise error
    return DegradedReason.ESSAY_GRADER_LOCAL
