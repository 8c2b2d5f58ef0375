"""Workflows that return the correlation ids that their activities see."""

from datetime import timedelta

from temporalio import workflow


@workflow.defn
class Child:
    @workflow.run
    async def run(self) -> str:
        seen: str = await workflow.execute_activity(
            "bound", result_type=str, start_to_close_timeout=timedelta(seconds=10)
        )
        return seen


@workflow.defn
class Waiting:
    """Runs an activity before the signal and after it, and one in a child workflow."""

    def __init__(self) -> None:
        self._submitted = False

    @workflow.run
    async def run(self) -> list[str]:
        before = await workflow.execute_activity("bound", result_type=str, start_to_close_timeout=timedelta(seconds=10))
        await workflow.wait_condition(lambda: self._submitted)
        after = await workflow.execute_activity("bound", result_type=str, start_to_close_timeout=timedelta(seconds=10))
        return [before, after, await workflow.execute_child_workflow(Child.run)]

    @workflow.signal
    def submit(self) -> None:
        self._submitted = True
