"""`python -m tests.benchmarks.later_worker earlier|patched|broken`: the worker of another build, without models."""

import asyncio
import sys

from tests.benchmarks.later_builds import Broken, Earlier, Patched
from tests.benchmarks.modelless_worker import fake_models
from worker import serve
from workflows.assessment import AssessmentWorkflow
from workflows.engine.process_exit import leave
from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import WORKFLOWS
from workflows.policies import Queue

if __name__ == "__main__":
    other = {"earlier": Earlier, "patched": Patched, "broken": Broken}[sys.argv[1]]
    WORKFLOWS[Queue.ASSESSMENTS] = tuple(
        other if each is AssessmentWorkflow else each for each in WORKFLOWS[Queue.ASSESSMENTS]
    )
    asyncio.run(serve(set(Queue), WorkerSettings(), fake_models))
    leave(0)
