"""Set the search attribute FailureReason of failed runs, so that operators can filter by it."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from workflows.engine.search_attributes import FAILURE_REASON
    from workflows.pipeline import reason_of


class FailureReasonInterceptor(Interceptor):
    """Sets FailureReason if an activity's failure ends a run. Some workflows set it themselves."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002  # the SDK's signature
        return _FailureReasonInbound


class _FailureReasonInbound(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        try:
            return await self.next.execute_workflow(input)
        except ActivityError as error:
            if not is_cancelled_exception(error):
                workflow.upsert_search_attributes([FAILURE_REASON.value_set(reason_of(error))])
            raise
