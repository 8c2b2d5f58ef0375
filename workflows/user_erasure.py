"""The erasure of one person, from the commit that refuses all writes about them to the entry on the list."""

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erase_user import EraseUser
    from domain.privacy import Erasure
    from workflows.policies import activity_options, versioning


_STEPS: Final = ("end what runs about the person", "erase what is held", "note it on the erasure list")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureResult:
    """How many of the person's assessments were erased."""

    assessments: int


@workflow.defn(versioning_behavior=versioning("UserErasureWorkflow"))
class UserErasureWorkflow:
    """Id `erase-{user_id}`, reuse ALLOW_DUPLICATE, conflict USE_EXISTING; Postgres decides.

    No signals, queries or updates. Ends when nothing of the person is left; it is not to be cancelled.
    """

    @workflow.run
    async def run(self, erasure: Erasure) -> ErasureResult:
        _show(0)
        await workflow.execute_activity_method(
            EraseUser.stop_runs, erasure, **activity_options("stop_runs", "End every run about the person")
        )
        _show(1)
        erased = await workflow.execute_activity_method(
            EraseUser.erase_records, erasure, **activity_options("erase_records", "Delete or blank what is held")
        )
        _show(2)
        await workflow.execute_activity_method(
            EraseUser.finish_erasure, erasure, **activity_options("finish_erasure", "Note it on the erasure list")
        )
        _show(len(_STEPS))
        return ErasureResult(assessments=erased)


def _show(done: int) -> None:
    boxes = (f"- [{'x' if at < done else ' '}] {step}" for at, step in enumerate(_STEPS))
    workflow.set_current_details("\n".join([*boxes, "\nIt must end: do not cancel or terminate it."]))
