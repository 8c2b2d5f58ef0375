"""The erasure of one person, from the commit that refuses all writes about them to the entry on the list."""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erase_user import EraseUser
    from domain.privacy import Erasure
    from workflows.policies import calling


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureResult:
    """How many of the person's assessments were erased."""

    assessments: int


@workflow.defn
class UserErasureWorkflow:
    """Id `erase-{user_id}`, reuse ALLOW_DUPLICATE, conflict USE_EXISTING; Postgres decides.

    No signals, queries or updates. Ends when nothing of the person is left; it is not to be cancelled.
    """

    @workflow.run
    async def run(self, erasure: Erasure) -> ErasureResult:
        workflow.set_current_details("Stopping what runs about the person")
        await workflow.execute_activity_method(
            EraseUser.stop_runs, erasure, **calling("stop_runs", "End every run about the person")
        )
        workflow.set_current_details("Erasing")
        erased = await workflow.execute_activity_method(
            EraseUser.erase_records, erasure, **calling("erase_records", "Delete or blank what is held")
        )
        await workflow.execute_activity_method(
            EraseUser.finish_erasure, erasure, **calling("finish_erasure", "Note it on the erasure list")
        )
        workflow.set_current_details(f"Erased, with {erased} assessment(s)")
        return ErasureResult(assessments=erased)
