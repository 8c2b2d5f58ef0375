"""Start the gates of providers, and release the runs that wait for them. Each call has a timeout."""

from datetime import timedelta
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.healing import Provider
from workflows.engine import search_attributes, static_details
from workflows.engine.assessment_runs import revision_workflow_id
from workflows.engine.calls import SWEEP_DEADLINE_S, EngineCalls
from workflows.policies import Queue, organization_priority
from workflows.provider_gate import GateInput, ProviderGateWorkflow, workflow_id


class TemporalProviderGates:
    """The port `ProviderGates`, implemented with a Temporal client. Activities use it, so it has no breaker."""

    def __init__(self, client: Client, queue: str = Queue.ASSESSMENTS, deadline_s: float = SWEEP_DEADLINE_S) -> None:
        self._client = client
        self._queue = queue
        self._timeout = timedelta(seconds=deadline_s)
        self._calls = EngineCalls(client, deadline_s, breaks=False)

    async def ensure(self, provider: Provider, organization_id: UUID) -> str:
        await self._calls.make(lambda: self._start(provider, organization_id))
        return workflow_id(provider, organization_id)

    async def release(self, assessment_id: UUID, key: str) -> None:
        await self._calls.make(lambda: self._signal(assessment_id, key))

    async def _start(self, provider: Provider, organization_id: UUID) -> None:
        await self._client.start_workflow(
            ProviderGateWorkflow.run,
            GateInput(provider=provider, organization_id=organization_id),
            id=workflow_id(provider, organization_id),
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Gate of {provider.replace('_', ' ')} for organization {organization_id}",
            static_details=static_details.PROVIDER_GATE,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(search_attributes.ORGANIZATION_ID, str(organization_id))]
            ),
            priority=organization_priority(organization_id),
            rpc_timeout=self._timeout,
        )

    async def _signal(self, assessment_id: UUID, key: str) -> None:
        """Signal with a request id, so that the server drops a repeated signal without an event."""
        try:
            await self._client.workflow_service.signal_workflow_execution(
                SignalWorkflowExecutionRequest(
                    namespace=self._client.namespace,
                    workflow_execution=WorkflowExecutionId(workflow_id=revision_workflow_id(assessment_id)),
                    signal_name="provider_answers",
                    identity=self._client.identity,
                    request_id=f"provider_answers-{key}",
                ),
                timeout=self._timeout,
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
