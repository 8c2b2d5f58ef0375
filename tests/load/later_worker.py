"""`python -m tests.load.later_worker patched|broken`: the modelless worker of a later build."""

import asyncio
import sys

from tests.load.later_builds import Broken, Patched
from tests.load.modelless_worker import stand_ins
from worker import WORKFLOWS, WorkerSettings, serve
from workflows.assessment import AssessmentWorkflow
from workflows.policies import Queue
from workflows.process_exit import leave

if __name__ == "__main__":
    later = {"patched": Patched, "broken": Broken}[sys.argv[1]]
    WORKFLOWS[Queue.ASSESSMENTS] = tuple(
        later if each is AssessmentWorkflow else each for each in WORKFLOWS[Queue.ASSESSMENTS]
    )
    asyncio.run(serve(set(Queue), WorkerSettings(), stand_ins))
    leave(0)
