"""Search the catalogue for a user's query, in the worker that has the embedding model."""

from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from temporalio import activity

from activities.retrieve_evidence import SearchBackend
from domain.database import Database
from domain.errors import ExternalServiceError
from domain.grading.scores import DegradedReason
from domain.recommending.ports import SearchQuery, SearchResult

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSearchInput:
    """`limit` is the number of hits. The query text is in Postgres under `search_id`."""

    search_id: UUID
    limit: int


class SearchCatalog:
    """`fallback` searches when the model fails or the catalogue has no vectors of it yet."""

    def __init__(self, database: Database, backend: SearchBackend, fallback: SearchBackend | None = None) -> None:
        self._database = database
        self._backend = backend
        self._fallback = fallback

    @activity.defn
    async def search_catalog(self, wanted: CatalogSearchInput) -> SearchResult:
        """Return the hits of the query.

        Raises:
            NotFound: the query text was already read or deleted.
        """
        async with self._database.statement() as uow:
            words = await uow.catalog.take_words(wanted.search_id)
        try:
            return await _found(self._backend, words, wanted.limit)
        except ExternalServiceError as error:
            if self._fallback is None:
                raise
            log.warning("embedder_fallback", error=type(error).__name__)
        found = await _found(self._fallback, words, wanted.limit)
        return replace(found, degraded_reason=DegradedReason.EMBEDDER_FALLBACK)


async def _found(backend: SearchBackend, words: str, limit: int) -> SearchResult:
    (vector,) = await backend.embedder.embed([words])
    return await backend.index.search([SearchQuery(text=words, vector=vector)], limit=limit)
