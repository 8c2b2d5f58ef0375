"""Calibrate a language model's confidence on the reviews of the essay's organization."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from domain.database import Database
from domain.grading.model_calibration import Calibration, calibrate
from domain.grading.ports import GradingModel

LASTS_S: Final = 600.0
"""How long a worker uses a calibration before it reads the reviews again."""
MOST_KEPT: Final = 1_000
"""The number of calibrations that a worker caches."""


class _Key(NamedTuple):
    organization_id: UUID
    model: str
    prompt_version: str


class _Cached(NamedTuple):
    ends: float
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class CalibrationSource:
    """A cache of calibrations. Equal reviews give equal calibrations in every worker."""

    database: Database
    _cached: dict[_Key, _Cached] = field(default_factory=dict, init=False)

    async def of(self, organization_id: UUID, model: GradingModel) -> Calibration:
        key = _Key(organization_id, model.model, model.prompt_version)
        cached = self._cached.get(key)
        if cached is not None and time.monotonic() < cached.ends:
            return cached.calibration
        async with self.database.statement() as uow:
            levels = await uow.reviewed_levels.of_model(*key)
        calibration = await asyncio.to_thread(calibrate, levels)
        if len(self._cached) >= MOST_KEPT:
            self._cached.clear()
        self._cached[key] = _Cached(time.monotonic() + LASTS_S, calibration)
        return calibration
