"""Start and signal the runs of webhook deliveries."""

from collections.abc import Sequence
from uuid import UUID

from domain.webhooks.deliveries import Delivery
from workflows.engine import static_details
from workflows.engine.runs import TemporalRuns
from workflows.policies import Queue
from workflows.webhook_delivery import WebhookDeliveryWorkflow, attributes, endpoint_priority, summary, workflow_id


class TemporalDeliveryRuns(TemporalRuns):
    """The port `DeliveryRuns`."""

    default_queue = Queue.WEBHOOKS

    async def start(self, delivery: Delivery, signal: str | None = None) -> None:
        await self._ensure(
            WebhookDeliveryWorkflow.run,
            delivery,
            id_=workflow_id(delivery),
            summary=summary(delivery),
            details=static_details.DELIVERY,
            attributes=attributes(delivery),
            priority=endpoint_priority(delivery),
            signal=signal,
        )

    async def redeliver_now(self, delivery: Delivery) -> None:
        await self.start(delivery, signal="redeliver_now")

    async def live(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        return await self._live({delivery.id: workflow_id(delivery) for delivery in deliveries})
