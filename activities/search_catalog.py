"""A person's search of the catalogue: embedded and looked up where the model is."""

from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from temporalio import activity

from activities.retrieve_evidence import Searched
from domain.database import Database
from domain.errors import ExternalServiceError
from domain.grading.scores import DegradedReason
from domain.recommending.ports import SearchQuery, SearchResult

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSearchInput:
    """`limit` is how many hits are wanted; the words wait in Postgres under the id."""

    search_id: UUID
    limit: int


class SearchCatalog:
    """`standby` takes over where the model does not answer, or the catalogue has no vectors of it yet."""

    def __init__(self, database: Database, searched: Searched, standby: Searched | None = None) -> None:
        self._database = database
        self._searched = searched
        self._standby = standby

    @activity.defn
    async def search_catalog(self, wanted: CatalogSearchInput) -> SearchResult:
        """The hits of the one query; NotFound where its words were taken or forgotten already."""
        async with self._database.statement() as uow:
            words = await uow.catalog.take_words(wanted.search_id)
        try:
            return await _found(self._searched, words, wanted.limit)
        except ExternalServiceError as error:
            if self._standby is None:
                raise
            log.warning("embedder_fallback", error=type(error).__name__)
        found = await _found(self._standby, words, wanted.limit)
        return replace(found, degraded_reason=DegradedReason.EMBEDDER_FALLBACK)


async def _found(searched: Searched, words: str, limit: int) -> SearchResult:
    (vector,) = await searched.embedder.embed([words])
    return await searched.index.search([SearchQuery(text=words, vector=vector)], limit=limit)
