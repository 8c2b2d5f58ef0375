"""How many tasks wait, as the real server counts them."""

from uuid import uuid4

from temporalio.client import Client

from tests.workflows.waiting import eventually
from workflows.backlogs import TaskQueues


async def test_a_queue_that_nobody_serves_grows(temporal_client: Client) -> None:
    queue = f"unserved-{uuid4()}"
    for number in range(2):
        await temporal_client.start_workflow("Nobody", id=f"{queue}-{number}", task_queue=queue)

    async def counted() -> list[tuple[str, str, int]]:
        return [(each.queue, each.kind, each.tasks) for each in await TaskQueues(temporal_client, [queue]).backlogs()]

    await eventually(counted, [(queue, "workflow", 2), (queue, "activity", 0)])
