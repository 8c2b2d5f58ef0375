"""Calls to the workflow engine. If it is unavailable, reconciliation repeats them later."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import structlog

from domain.account_links import LinkMail
from domain.appeals import Appeal, AppealRuns, AppealState
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.ports import AssessmentRuns
from domain.privacy import Erasure
from domain.rescores.rescores import Rescore
from domain.webhooks.deliveries import Delivery
from persistence.queries.catalog_views import ImportView

MAX_CONCURRENT_CALLS: Final = 16

log = structlog.get_logger(__name__)

WorkflowSubject = TypeVar(
    "WorkflowSubject", bound=Appeal | Assessment | Delivery | Erasure | ImportView | LinkMail | Rescore
)
"""The entity that a workflow processes."""


async def notify_engine(call: Callable[[WorkflowSubject], Awaitable[None]], subject: WorkflowSubject) -> bool:
    """Make a call and return whether it succeeded. A failure is logged only, because the transaction is committed."""
    try:
        await call(subject)
    except Exception as error:  # noqa: BLE001  # any failure must leave the committed request successful
        log.warning(
            "engine_not_told",
            subject=type(subject).__qualname__.lower(),
            id=str(subject.id),
            error_type=type(error).__qualname__,
        )
        return False
    return True


async def notify_all(calls: Iterable[Callable[[], Awaitable[bool]]]) -> bool:
    """Make the calls, at most 16 at a time, and return whether all of them succeeded."""
    slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)

    async def limited(call: Callable[[], Awaitable[bool]]) -> bool:
        async with slots:
            return await call()

    return all(await asyncio.gather(*map(limited, calls)))


async def ensure_run(runs: AssessmentRuns, assessment: Assessment) -> None:
    """Start the run of a submitted assessment. Other assessments need no run."""
    if assessment.status is AssessmentStatus.AWAITING_ASYNC:
        await runs.submit(assessment)


async def follow_appeal(runs: AppealRuns, appeal: Appeal) -> None:
    """Start the run of an open appeal. End the run of a closed one."""
    await (runs.start if appeal.state is AppealState.OPEN else runs.closed)(appeal)
