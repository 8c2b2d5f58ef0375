"""The workflow of an erasure. It starts after the commit that rejects further writes about the user."""

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erase_user import EraseUser
    from domain.privacy import Erasure
    from workflows.policies import activity_options, versioning


_STEPS: Final = ("end the runs about the user", "erase the records", "add the user to the erasure list")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureResult:
    """The number of erased assessments."""

    assessments: int


@workflow.defn(versioning_behavior=versioning("UserErasureWorkflow"))
class UserErasureWorkflow:
    """Ends a user's runs, erases the records, and adds the user to the erasure list.

    Id: `erase-{user_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING, because Postgres decides.
    Signals, queries, updates: none.
    End: when no data of the user is left. Do not cancel it.
    """

    @workflow.run
    async def run(self, erasure: Erasure) -> ErasureResult:
        _show(0)
        await workflow.execute_activity_method(
            EraseUser.stop_runs, erasure, **activity_options("stop_runs", "End the runs about the user")
        )
        _show(1)
        erased = await workflow.execute_activity_method(
            EraseUser.erase_records, erasure, **activity_options("erase_records", "Delete or blank the records")
        )
        _show(2)
        await workflow.execute_activity_method(
            EraseUser.finish_erasure, erasure, **activity_options("finish_erasure", "Add the user to the erasure list")
        )
        _show(len(_STEPS))
        return ErasureResult(assessments=erased)


def _show(done: int) -> None:
    boxes = (f"- [{'x' if at < done else ' '}] {step}" for at, step in enumerate(_STEPS))
    workflow.set_current_details(
        "\n".join([*boxes, "\nAction: none. Do not cancel or terminate this run: the erasure must finish."])
    )
