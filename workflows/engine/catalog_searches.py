"""Search the catalogue on a worker, with a timeout of two seconds."""

from typing import Final
from uuid import UUID

from temporalio.client import Client, WorkflowFailureError

from activities.search_catalog import CatalogSearchInput
from domain.errors import ExternalServiceError
from domain.recommending.ports import SearchResult
from workflows.catalog_search import CatalogSearchWorkflow
from workflows.engine.runs import TemporalRuns

DEADLINE_S: Final = 2.0


class TemporalCatalogSearches(TemporalRuns):
    """The port `CatalogSearches`."""

    def __init__(self, client: Client, queue: str | None = None, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(client, queue, deadline_s)

    async def search(self, search_id: UUID, *, limit: int) -> SearchResult:
        found: list[SearchResult] = []

        async def search() -> None:
            found.append(await self._search(search_id, limit))

        await self._calls.make(search)
        return found[0]

    async def _search(self, search_id: UUID, limit: int) -> SearchResult:
        try:
            return await self._client.execute_workflow(
                CatalogSearchWorkflow.run,
                CatalogSearchInput(search_id=search_id, limit=limit),
                id=f"catalog-search-{search_id}",
                task_queue=self._queue,
                execution_timeout=self._deadline,  # the request has timed out by then
                static_summary="Search the catalogue",
                rpc_timeout=self._deadline,
            )
        except WorkflowFailureError as error:
            raise ExternalServiceError("The search failed on the worker") from error
