"""Search the catalogue on a worker, with a timeout of two seconds."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio.client import Client, WorkflowFailureError

from activities.search_catalog import CatalogSearchInput
from domain.errors import ExternalServiceError
from domain.recommending.ports import SearchResult
from workflows.catalog_search import CatalogSearchWorkflow
from workflows.engine.calls import EngineCalls
from workflows.policies import Queue

DEADLINE_S: Final = 2.0


class TemporalCatalogSearches:
    """The port `CatalogSearches`, implemented with a (lazy) Temporal client and a circuit breaker."""

    def __init__(self, client: Client, queue: str = Queue.ASSESSMENTS, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._queue = queue
        self._deadline_s = deadline_s
        self._calls = EngineCalls(client, deadline_s)

    async def search(self, search_id: UUID, *, limit: int) -> SearchResult:
        found: list[SearchResult] = []

        async def search() -> None:
            found.append(await self._search(search_id, limit))

        await self._calls.make(search)
        return found[0]

    async def _search(self, search_id: UUID, limit: int) -> SearchResult:
        deadline = timedelta(seconds=self._deadline_s)
        try:
            return await self._client.execute_workflow(
                CatalogSearchWorkflow.run,
                CatalogSearchInput(search_id=search_id, limit=limit),
                id=f"catalog-search-{search_id}",
                task_queue=self._queue,
                execution_timeout=deadline,  # the request has timed out by then
                static_summary="Search the catalogue",
                rpc_timeout=deadline,
            )
        except WorkflowFailureError as error:
            raise ExternalServiceError("The search failed on the worker") from error
