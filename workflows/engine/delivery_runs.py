"""Start and signal the runs of webhook deliveries. Each call has a timeout of one second."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from domain.webhooks.deliveries import Delivery
from workflows.engine import static_details
from workflows.engine.calls import DEADLINE_S, EngineCalls
from workflows.policies import Queue
from workflows.webhook_delivery import WebhookDeliveryWorkflow, attributes, endpoint_priority, summary, workflow_id


class TemporalDeliveryRuns:
    """The port `DeliveryRuns`, implemented with a (lazy) Temporal client."""

    def __init__(
        self, client: Client, queue: str = Queue.WEBHOOKS, deadline_s: float = DEADLINE_S, *, breaks: bool = True
    ) -> None:
        self._client = client
        self._queue = queue
        self._deadline_s = deadline_s
        self._calls = EngineCalls(client, deadline_s, breaks=breaks)

    async def start(self, delivery: Delivery) -> None:
        await self._calls.make(lambda: self._start(delivery, signal=None))

    async def redeliver_now(self, delivery: Delivery) -> None:
        await self._calls.make(lambda: self._start(delivery, signal="redeliver_now"))

    async def live(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        running = await self._calls.running([workflow_id(delivery) for delivery in deliveries])
        return frozenset(delivery.id for delivery in deliveries if workflow_id(delivery) in running)

    async def _start(self, delivery: Delivery, signal: str | None) -> None:
        await self._client.start_workflow(
            WebhookDeliveryWorkflow.run,
            delivery,
            id=workflow_id(delivery),
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=signal,
            static_summary=summary(delivery),
            static_details=static_details.DELIVERY,
            search_attributes=attributes(delivery),
            priority=endpoint_priority(delivery),
            rpc_timeout=timedelta(seconds=self._deadline_s),
        )
