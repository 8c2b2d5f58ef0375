"""The safety net: what Postgres holds and no run works on is started again."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconcile import Reconcile, Reconciled
    from workflows.policies import activity_options, versioning


@workflow.defn(versioning_behavior=versioning("ReconciliationWorkflow"))
class ReconciliationWorkflow:
    """Id `reconciliation-{time}`, started by the Schedule `reconciliation` (overlap SKIP). No signals or queries."""

    @workflow.run
    async def run(self) -> Reconciled:
        workflow.set_current_details("Comparing what Postgres holds with what runs")
        return await workflow.execute_activity_method(
            Reconcile.reconcile, **activity_options("reconcile", "Start what should be running")
        )
