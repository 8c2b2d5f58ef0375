"""`python -m tests.faults.poisoned_worker`: a worker whose grader crashes, hangs or exhausts memory on some texts."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Final

from domain.grading.ports import TextAnalysis
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore
from tests.benchmarks.modelless_worker import fake_models
from tests.support.fake_graders import FakeEssayGrader
from worker import serve
from workflows.engine.models import Models
from workflows.engine.process_exit import leave
from workflows.engine.vector_stores import VectorStores
from workflows.engine.worker_settings import WorkerSettings
from workflows.policies import POLICIES, Queue

CRASH: Final = "poison-that-ends-the-process"
HANG: Final = "poison-that-never-ends"
MEMORY: Final = "poison-that-takes-all-memory"

STEP_S: Final = 10
"""The step's timeout, instead of a minute, so that a hanging step fails sooner."""


class PoisonedGrader(FakeEssayGrader):
    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        text = " ".join(essay.text for essay in essays)
        if CRASH in text:
            os._exit(1)
        if HANG in text:
            await asyncio.Event().wait()
        if MEMORY in text:
            raise MemoryError
        return await super().grade(essays)


async def poisoned(stores: VectorStores, running: AsyncExitStack, analysis: TextAnalysis) -> Models:
    return replace(await fake_models(stores, running, analysis), grader=PoisonedGrader())


if __name__ == "__main__":
    step = POLICIES["score_essays_locally"]
    POLICIES["score_essays_locally"] = replace(step, start_to_close=timedelta(seconds=STEP_S))
    asyncio.run(serve(set(Queue), WorkerSettings(), poisoned))
    leave(0)
