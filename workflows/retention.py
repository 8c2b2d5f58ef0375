"""The workflow that deletes data past its retention time."""

from collections.abc import Collection, Mapping

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.retain import Retain, RetainInput
    from domain.privacy import RetentionRule
    from workflows.policies import RETENTION_RULE_TIMEOUT, activity_options, versioning


@workflow.defn(versioning_behavior=versioning("RetentionWorkflow"))
class RetentionWorkflow:
    """Applies every retention rule, one activity each. A rule that fails does not stop the others.

    Id: `retention-{time}`. The Schedule `retention` starts it daily, with overlap policy SKIP.
    Signals, queries, updates: none.
    """

    @workflow.run
    async def run(self) -> dict[str, int]:
        """Return the number of deleted or blanked rows by rule.

        Raises:
            ApplicationError: rules failed. The text names each with its failure.
        """
        deleted: dict[str, int] = {}
        failed: dict[str, ActivityError] = {}
        for rule in RetentionRule:
            if rule is RetentionRule.RESCORES and not workflow.patched("retain-differences-of-rescores"):
                continue  # a run that an earlier build started
            workflow.set_current_details(_details(deleted, failed, rule))
            options = activity_options("retain", f"Apply the rule for {rule.replace('_', ' ')}")
            options["schedule_to_close_timeout"] = RETENTION_RULE_TIMEOUT
            try:
                deleted[rule.value] = await workflow.execute_activity_method(
                    Retain.retain, RetainInput(rule=rule), **options
                )
            except ActivityError as error:
                if is_cancelled_exception(error) or not workflow.patched("continue-after-a-failed-rule"):
                    raise
                failed[rule.value] = error
        workflow.set_current_details(_details(deleted, failed))
        if failed:
            raise ApplicationError("; ".join(f"{rule}: {error.cause}" for rule, error in failed.items()), type="Failed")
        return deleted


def _details(deleted: Mapping[str, int], failed: Collection[str] = (), under_way: RetentionRule | None = None) -> str:
    """List every rule with its number of rows, "failed", "under way" or "to come"."""
    now = {under_way: "under way"} if under_way else {}
    states = {rule: deleted.get(rule, now.get(rule, "to come")) for rule in RetentionRule} | dict.fromkeys(
        map(RetentionRule, failed), "failed"
    )
    return "\n".join(f"- [{'x' if rule in deleted else ' '}] {rule}: {state}" for rule, state in states.items())
