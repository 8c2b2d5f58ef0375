"""Sweep concerns, with recorded runs of assessments, and name the states of assessments that sweeps find."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from temporalio.testing import ActivityEnvironment

from activities.reconcile import Reconcile, SweepInput, Swept
from domain.assessments.lifecycle import Assessment
from domain.errors import ExternalServiceError
from domain.sweeps import Concern
from tests.activities.builders import MINUTE_AGO
from tests.support.fake_engine import RecordingRuns

UNCLAIMED: dict[str, Any] = {"status": "awaiting_async", "submitted_at": MINUTE_AGO}
CLAIMED: dict[str, Any] = UNCLAIMED | {"claimed_at": MINUTE_AGO}
DUE: dict[str, Any] = {"status": "in_progress", "expires_at": MINUTE_AGO}
NEVER = -1
"""A minute at which no row is checked without the engine's index."""


@dataclass
class PagedRuns(RecordingRuns):
    """Runs that record the size of each query. The calls about the `broken` assessments fail."""

    asked: list[int] = field(default_factory=list)
    broken: set[UUID] = field(default_factory=set)
    index_down: bool = False
    submit_s: float = 0.0

    async def submit(self, assessment: Assessment) -> None:
        await asyncio.sleep(self.submit_s)
        if assessment.id in self.broken:
            raise ExternalServiceError("The workflow engine did not take the call")
        await super().submit(assessment)

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        self.asked.append(len(assessment_ids))
        if self.index_down:
            raise ExternalServiceError("The index did not answer")
        return await super().live(assessment_ids)


async def sweep(reconcile: Reconcile, concern: str) -> Swept:
    result: Swept = await ActivityEnvironment().run(reconcile.reconcile, SweepInput(concern=concern))
    return result


async def sweep_all(reconcile: Reconcile) -> dict[Concern, int]:
    """Sweep every concern. Return the numbers of started runs, without those of upkeep."""
    swept = {concern: await sweep(reconcile, concern) for concern in Concern if concern is not Concern.AUDIT}
    return {concern: result.started for concern, result in swept.items() if result.started}
