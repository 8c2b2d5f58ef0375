"""Telling the engine after a commit. What it does not hear, reconciliation repeats."""

from collections.abc import Awaitable, Callable

import structlog

from domain.assessments import Assessment

log = structlog.get_logger()


async def told(call: Callable[[Assessment], Awaitable[None]], assessment: Assessment) -> bool:
    """Whether the engine took the call. The commit stands either way, so nothing may change the answer any more."""
    try:
        await call(assessment)
    except Exception as error:  # noqa: BLE001  # the client's work is stored; only the log is left to tell
        log.warning("engine_not_told", assessment_id=str(assessment.id), error_type=type(error).__qualname__)
        return False
    return True
