"""The workflow that deletes data past its retention time."""

from collections.abc import Mapping

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.retain import Retain, RetainInput
    from domain.privacy import RetentionRule
    from workflows.policies import activity_options, versioning


@workflow.defn(versioning_behavior=versioning("RetentionWorkflow"))
class RetentionWorkflow:
    """Applies every retention rule, one activity each.

    Id: `retention-{time}`. The Schedule `retention` starts it daily, with overlap policy SKIP.
    Signals, queries, updates: none.
    """

    @workflow.run
    async def run(self) -> dict[str, int]:
        """Return the number of deleted or blanked rows by rule."""
        deleted: dict[str, int] = {}
        for rule in RetentionRule:
            if rule is RetentionRule.RESCORES and not workflow.patched("retain-differences-of-rescores"):
                continue  # a run that an earlier build started
            workflow.set_current_details(_details(deleted, rule))
            deleted[rule.value] = await workflow.execute_activity_method(
                Retain.retain,
                RetainInput(rule=rule),
                **activity_options("retain", f"Apply the rule for {rule.replace('_', ' ')}"),
            )
        workflow.set_current_details(_details(deleted))
        return deleted


def _details(deleted: Mapping[str, int], under_way: RetentionRule | None = None) -> str:
    """List every rule with its number of rows, "under way" or "to come"."""
    now = {under_way: "under way"} if under_way else {}
    states = {rule: deleted.get(rule, now.get(rule, "to come")) for rule in RetentionRule}
    return "\n".join(f"- [{'x' if rule in deleted else ' '}] {rule}: {state}" for rule, state in states.items())
