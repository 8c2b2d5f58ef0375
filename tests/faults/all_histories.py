"""`python -m tests.faults.all_histories ADDRESS`: print each run on a line.

A line is the id, a tab, and the description and the history as JSON, with payloads in base64. A run that is deleted
meanwhile is left out. One process reads a thousand runs in the time in which Temporal's command line reads a few.
"""

import asyncio
import json
import sys

from google.protobuf.json_format import MessageToDict
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.engine.process_exit import leave


async def main() -> None:
    client = await Client.connect(sys.argv[1])
    async for run in client.list_workflows():
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        try:
            description = MessageToDict((await handle.describe()).raw_description)
            history = (await handle.fetch_history()).to_json_dict()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        sys.stdout.write(f"{run.id}\t{json.dumps([description, history])}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
