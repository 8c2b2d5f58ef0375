"""A workflow that starts deliveries, like those that publish events."""

from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.webhooks.deliveries import Delivery
    from workflows.deliveries import start_deliveries


@workflow.defn
class Publishing:
    @workflow.run
    async def run(self, deliveries: Sequence[Delivery]) -> None:
        await start_deliveries(deliveries)
