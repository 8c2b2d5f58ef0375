"""Talking to the engine, which may be away: what it does not hear, reconciliation repeats."""

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

import structlog

from domain.assessments import Assessment
from domain.ports import AssessmentRuns

log = structlog.get_logger()


class LiveProgress(Protocol):
    """Where a run is, as its `progress` query tells."""

    @property
    def stage(self) -> str: ...


class Runs(AssessmentRuns, Protocol):
    """The engine as the API needs it: it also tells the live stage, or None where it does not within 300 ms."""

    async def progress(self, assessment_id: UUID) -> LiveProgress | None: ...


async def told(call: Callable[[Assessment], Awaitable[None]], assessment: Assessment) -> bool:
    """Whether the engine took the call. The commit stands either way, so nothing may change the answer any more."""
    try:
        await call(assessment)
    except Exception as error:  # noqa: BLE001  # the client's work is stored; only the log is left to tell
        log.warning("engine_not_told", assessment_id=str(assessment.id), error_type=type(error).__qualname__)
        return False
    return True


async def live_stage(runs: Runs, assessment_id: UUID) -> str | None:
    """Where the run is, if the engine says so; its absence changes nothing else of an answer."""
    try:
        progress = await runs.progress(assessment_id)
    except Exception as error:  # noqa: BLE001  # the answer stands on what is stored
        log.warning("stage_not_known", assessment_id=str(assessment_id), error_type=type(error).__qualname__)
        return None
    return str(progress.stage) if progress else None
