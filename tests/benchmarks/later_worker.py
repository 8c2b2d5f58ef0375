"""`python -m tests.benchmarks.later_worker patched|broken`: the modelless worker of a later build."""

import asyncio
import sys

from tests.benchmarks.later_builds import Broken, Patched
from tests.benchmarks.modelless_worker import stand_ins
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
    asyncio.run(serve(set(Queue), WorkerSettings(), stand_ins))
    leave(0)
