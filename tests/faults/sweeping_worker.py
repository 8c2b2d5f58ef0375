"""`python -m tests.faults.sweeping_worker [hang]`: a worker that only sweeps; with `hang`, its sweeps never end."""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity
from temporalio.worker import Worker

from activities.reconcile import SweepInput, Swept
from workflows.engine.client import connect
from workflows.engine.namespace import provision
from workflows.engine.process_exit import leave
from workflows.engine.worker_settings import WorkerSettings
from workflows.policies import Queue
from workflows.reconciliation import ReconciliationWorkflow


@activity.defn
async def reconcile(wanted: SweepInput) -> Swept:
    sys.stdout.write(f"sweeping {wanted.concern}\n")
    sys.stdout.flush()
    if "hang" in sys.argv:
        await asyncio.Event().wait()
    return Swept(concern=wanted.concern)


async def serve() -> None:
    client = await connect()
    await provision(client, timedelta(seconds=2))
    worker = Worker(
        client,
        task_queue=Queue.ASSESSMENTS,
        workflows=[ReconciliationWorkflow],
        activities=[reconcile],
        deployment_config=WorkerSettings().deployment,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(serve())
    leave(0)
