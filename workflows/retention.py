"""Letting go of what is old, once a day."""

from collections.abc import Mapping

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.retain import Retain, RetainInput
    from domain.privacy import RetentionRule
    from workflows.policies import activity_options, versioning


@workflow.defn(versioning_behavior=versioning("RetentionWorkflow"))
class RetentionWorkflow:
    """Id `retention-{time}`, started by the Schedule `retention` (overlap SKIP). No signals, queries or updates."""

    @workflow.run
    async def run(self) -> dict[str, int]:
        """How many rows went, by rule."""
        gone: dict[str, int] = {}
        for rule in RetentionRule:
            workflow.set_current_details(_details(gone, rule))
            gone[rule.value] = await workflow.execute_activity_method(
                Retain.retain,
                RetainInput(rule=rule),
                **activity_options("retain", f"Let go of old {rule.replace('_', ' ')}"),
            )
        workflow.set_current_details(_details(gone))
        return gone


def _details(gone: Mapping[str, int], under_way: RetentionRule | None = None) -> str:
    """Every rule: done with how many rows, under way, or still to come."""
    now = {under_way: "under way"} if under_way else {}
    states = {rule: gone.get(rule, now.get(rule, "to come")) for rule in RetentionRule}
    return "\n".join(f"- [{'x' if rule in gone else ' '}] {rule}: {state}" for rule, state in states.items())
