"""Start the gates of providers, and release the runs that wait for them."""

from uuid import UUID

from temporalio.service import RPCError, RPCStatusCode

from domain.healing import Provider
from workflows.engine import static_details
from workflows.engine.assessment_runs import revision_workflow_id
from workflows.engine.calls import signal_once
from workflows.engine.runs import TemporalRuns, of_organization
from workflows.policies import organization_priority
from workflows.provider_gate import GateInput, ProviderGateWorkflow, workflow_id


class TemporalProviderGates(TemporalRuns):
    """The port `ProviderGates`."""

    async def ensure(self, provider: Provider, organization_id: UUID) -> str:
        id_ = workflow_id(provider, organization_id)
        await self._ensure(
            ProviderGateWorkflow.run,
            GateInput(provider=provider, organization_id=organization_id),
            id_=id_,
            summary=f"Gate of {provider.replace('_', ' ')} for organization {organization_id}",
            details=static_details.PROVIDER_GATE,
            attributes=of_organization(organization_id),
            priority=organization_priority(organization_id),
        )
        return id_

    async def release(self, assessment_id: UUID, key: str) -> None:
        await self._calls.make(lambda: self._signal(assessment_id, key))

    async def _signal(self, assessment_id: UUID, key: str) -> None:
        """Signal once for each key. A run that has ended needs no signal."""
        try:
            await signal_once(
                self._client, revision_workflow_id(assessment_id), "provider_answers", key, rpc_timeout=self._deadline
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
