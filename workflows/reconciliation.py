"""The workflow that starts the runs that committed rows require and that are not running."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconcile import Reconcile, Reconciled
    from workflows.policies import activity_options, versioning


@workflow.defn(versioning_behavior=versioning("ReconciliationWorkflow"))
class ReconciliationWorkflow:
    """Compares Postgres with the running workflows and starts what is missing.

    Id: `reconciliation-{time}`. The Schedule `reconciliation` starts it, with overlap policy SKIP.
    Signals, queries, updates: none.
    """

    @workflow.run
    async def run(self) -> Reconciled:
        workflow.set_current_details("Comparing Postgres with the running workflows.\n\nAction: none.")
        return await workflow.execute_activity_method(
            Reconcile.reconcile, **activity_options("reconcile", "Start missing runs")
        )
