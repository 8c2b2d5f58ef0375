"""`python -m tests.benchmarks.later_worker patched|broken`: the worker of a later build, without models."""

import asyncio
import sys

from tests.benchmarks.later_builds import Broken, Patched
from tests.benchmarks.modelless_worker import fake_models
from worker import serve
from workflows.assessment import AssessmentWorkflow
from workflows.engine.process_exit import leave
from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import WORKFLOWS
from workflows.policies import Queue

if __name__ == "__main__":
    later = {"patched": Patched, "broken": Broken}[sys.argv[1]]
    WORKFLOWS[Queue.ASSESSMENTS] = tuple(
        later if each is AssessmentWorkflow else each for each in WORKFLOWS[Queue.ASSESSMENTS]
    )
    asyncio.run(serve(set(Queue), WorkerSettings(), fake_models))
    leave(0)
