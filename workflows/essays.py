"""Has an essay graded by a language model, one bought answer after the other."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeout

with workflow.unsafe.imports_passed_through():
    from activities.score_essay import EssayInput, EssayOutcome, ScoreEssay
    from domain.grading.scores import DegradedReason
    from workflows.pipeline import describe_failure
    from workflows.policies import FALLBACKS, STORAGE_PAUSE, activity_options


Graded = TypeVar("Graded")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingAttempt:
    """What came of it: graded, or why not, and how many seconds the provider asks to wait before it is tried again.

    `failure` is why not in the words of who failed.
    """

    reason: DegradedReason | None = None
    failure: str | None = None
    retry_after_s: float = 0.0


async def grade(essay: EssayInput, name: str) -> GradingAttempt:
    """Buys what the essay needs; the next grader's turn comes with a reason.

    Raises:
        ActivityError: what no other grader can mend.
    """
    due = "first answer"
    while True:
        try:
            progress = await workflow.execute_activity_method(
                ScoreEssay.score_essay, essay, **activity_options("score_essay", f"{name} by the language model: {due}")
            )
        except ActivityError as error:
            if _is_storage_outage(error):
                await workflow.sleep(STORAGE_PAUSE, summary="Until the database is back")
                continue
            return _fallback(error)
        if progress.outcome is EssayOutcome.SCORED:
            return GradingAttempt()
        if progress.outcome is EssayOutcome.UNSCORABLE:
            return GradingAttempt(reason=progress.reason, failure=progress.reason.text)
        due = progress.next_call


async def gather_all(*essays: Awaitable[Graded]) -> list[Graded]:
    """What came of each; a failure is raised when all have ended, so that it takes no paid call with it."""
    ended = await asyncio.gather(*essays, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if not isinstance(each, BaseException)]


def _is_storage_outage(error: ActivityError) -> bool:
    """Our own database's outage is waited out, not degraded."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == "StorageUnavailable"


def _fallback(error: ActivityError) -> GradingAttempt:
    cause = error.cause
    if isinstance(cause, TemporalTimeout):
        return GradingAttempt(reason=DegradedReason.ESSAY_GRADER_LOCAL, failure=describe_failure(error))
    if not isinstance(cause, ApplicationError) or cause.type not in FALLBACKS:
        raise error
    wait = cause.details[0] if cause.details else 0.0
    return GradingAttempt(reason=FALLBACKS[cause.type], failure=describe_failure(error), retry_after_s=float(wait))
