"""The workflow that starts the runs that committed rows require and that are not running."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconcile import Reconcile, SweepInput, Swept
    from domain.sweeps import Concern
    from workflows.policies import activity_options, versioning

CONCERN = "concern"
"""The key of the memo that names the concern. It is no argument, because builds that know no concerns refuse arguments:
during a rollout or rollback they may be given such a run, and then sweep everything."""


@workflow.defn(versioning_behavior=versioning("ReconciliationWorkflow"))
class ReconciliationWorkflow:
    """Compares the rows of one concern with the running workflows and starts what is missing.

    Id: `reconciliation-{time}` for unclaimed submissions, `reconciliation-{concern}-{time}` for another concern. The
    Schedule of the same name starts it, with overlap policy SKIP and an execution timeout.
    Signals, queries, updates: none.
    """

    @workflow.run
    async def run(self) -> Swept:
        concern = workflow.memo_value(CONCERN, default=Concern.UNCLAIMED.value, type_hint=str)
        workflow.set_current_details(f"Comparing Postgres with the running workflows: {concern}.\n\nAction: none.")
        return await workflow.execute_activity_method(
            Reconcile.reconcile,
            SweepInput(concern=concern),
            **activity_options("reconcile", f"Start missing runs: {concern}"),
        )
