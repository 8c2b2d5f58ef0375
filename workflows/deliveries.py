"""Start webhook deliveries from another workflow."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from domain.webhooks.deliveries import Delivery
    from workflows.engine import static_details
    from workflows.policies import Queue, sibling_queue
    from workflows.webhook_delivery import WebhookDeliveryWorkflow, attributes, endpoint_priority, summary, workflow_id


async def start_deliveries(deliveries: Sequence[Delivery]) -> None:
    """Start the deliveries as abandoned child workflows. A delivery that runs already is skipped."""
    await asyncio.gather(*(_start(delivery) for delivery in deliveries))


async def _start(delivery: Delivery) -> None:
    try:
        await workflow.start_child_workflow(
            WebhookDeliveryWorkflow.run,
            delivery,
            id=workflow_id(delivery),
            task_queue=sibling_queue(workflow.info().task_queue, Queue.WEBHOOKS),
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=summary(delivery),
            static_details=static_details.DELIVERY,
            search_attributes=attributes(delivery),
            priority=endpoint_priority(delivery),
        )
    except WorkflowAlreadyStartedError:
        return
