"""Talking to the engine, which may be away: what it does not hear, reconciliation repeats."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeVar
from uuid import UUID

import structlog

from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.ports import AssessmentRuns
from domain.privacy import Erasure
from domain.webhooks.deliveries import Delivery
from persistence.queries.catalog_views import ImportView

CALLS_AT_A_TIME: Final = 16

log = structlog.get_logger(__name__)

Subject = TypeVar("Subject", bound=Assessment | Delivery | Erasure | ImportView)
"""What runs are about."""


class LiveProgress(Protocol):
    """Where a run is, as its `progress` query tells."""

    @property
    def stage(self) -> str: ...


class Runs(AssessmentRuns, Protocol):
    """The engine as the API needs it: it also tells the live stage, or None where it does not within 300 ms."""

    async def progress(self, assessment_id: UUID) -> LiveProgress | None: ...


async def told(call: Callable[[Subject], Awaitable[None]], subject: Subject) -> bool:
    """Whether the engine took the call. The commit stands either way, so nothing may change the answer any more."""
    try:
        await call(subject)
    except Exception as error:  # noqa: BLE001  # the client's work is stored; only the log is left to tell
        log.warning(
            "engine_not_told",
            subject=type(subject).__qualname__.lower(),
            id=str(subject.id),
            error_type=type(error).__qualname__,
        )
        return False
    return True


async def notify_all(calls: Iterable[Callable[[], Awaitable[bool]]]) -> bool:
    """Makes the calls, a few at a time: whether the engine took all of them."""
    turns = asyncio.Semaphore(CALLS_AT_A_TIME)

    async def in_turn(call: Callable[[], Awaitable[bool]]) -> bool:
        async with turns:
            return await call()

    return all(await asyncio.gather(*map(in_turn, calls)))


async def ensure_run(runs: Runs, assessment: Assessment) -> None:
    """Starts the run of what is open or handed in; for anything else there is nothing to run."""
    match assessment.status:
        case AssessmentStatus.IN_PROGRESS:
            await runs.start(assessment)
        case AssessmentStatus.AWAITING_ASYNC:
            await runs.submit(assessment)
        case _:
            pass


async def live_stage(runs: Runs, assessment_id: UUID) -> str | None:
    """Where the run is, if the engine says so; its absence changes nothing else of an answer."""
    try:
        progress = await runs.progress(assessment_id)
    except Exception as error:  # noqa: BLE001  # the answer stands on what is stored
        log.warning("stage_not_known", assessment_id=str(assessment_id), error_type=type(error).__qualname__)
        return None
    return str(progress.stage) if progress else None
