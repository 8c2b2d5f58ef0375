"""`python -m tests.faults.client_process ADDRESS`: run a Temporal client and a worker until SIGTERM, then exit."""

import asyncio
import signal
import sys

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from workflows.engine.process_exit import leave


@activity.defn
async def nothing() -> None: ...


async def main() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    client = await Client.connect(sys.argv[1])
    async with Worker(client, task_queue="nothing", activities=[nothing]):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
