"""Why a run failed, as a search attribute: an operator lists runs by it."""

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
    """Sets it on every run that the failure of an activity ends; workflows that tell themselves raise another error."""

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
