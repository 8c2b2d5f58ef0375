"""A workflow whose activities increment every metric."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.mark_failed import FailureInput

FAILURE = FailureInput(assessment_id=UUID(int=1), run=1, reason="CorruptData")
STEPS: dict[str, list[FailureInput]] = {
    "publish_result": [],
    "mark_failed": [FAILURE],
    "deliver_webhook": [],
    "ask_model": [],
    "ask_partner": [],
    "reconcile": [],
    "fail": [],
}


@workflow.defn
class MeasuredRun:
    @workflow.run
    async def run(self) -> None:
        for step, arguments in STEPS.items():
            with suppress(ActivityError):
                await workflow.execute_activity(
                    step,
                    args=arguments,
                    start_to_close_timeout=timedelta(seconds=10),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
