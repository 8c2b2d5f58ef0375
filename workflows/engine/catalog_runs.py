"""Start the run that embeds the catalogue, with a timeout of one second."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from domain.errors import ExternalServiceError
from workflows.catalog_embedding import CatalogEmbeddingInput, CatalogEmbeddingWorkflow
from workflows.engine import static_details
from workflows.policies import Queue

WORKFLOW_ID: Final = "catalog-embedding"
DEADLINE_S: Final = 1.0


class TemporalCatalogRuns:
    """The port `CatalogRuns`, implemented with a (lazy) Temporal client."""

    def __init__(self, client: Client, queue: str = Queue.ASSESSMENTS, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._queue = queue
        self._deadline_s = deadline_s

    async def start(self) -> None:
        """Start the run, or signal the running one to repeat its work because the catalogue changed."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._client.start_workflow(
                    CatalogEmbeddingWorkflow.run,
                    CatalogEmbeddingInput(),
                    id=WORKFLOW_ID,
                    task_queue=self._queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal="changed",
                    static_summary="Embed the catalogue and bring its index up to date",
                    static_details=static_details.CATALOG_EMBEDDING,
                    rpc_timeout=timedelta(seconds=self._deadline_s),
                )
        except (RPCError, TimeoutError, RuntimeError) as error:
            # A lazy client that cannot connect raises RuntimeError.
            raise ExternalServiceError("The workflow engine did not accept the call") from error
