"""An index that raises an error while too little of the catalogue is embedded."""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from activities.index_catalog import WHOLE_SHARE
from domain.errors import ExternalServiceError
from domain.recommending.ports import CatalogRuns, CredentialIndex, EmbeddingArtifacts, SearchQuery, SearchResult

CHECK_EVERY_S: Final = 30.0

log = structlog.get_logger(__name__)


class EmbeddedIndex:
    """A CredentialIndex that searches another one once the model has embedded the catalogue.

    It checks Postgres every `check_every_s` seconds. While vectors are missing, for example after a change of model, it
    starts the workflow that embeds the catalogue.

    Raises:
        ExternalServiceError: the catalogue is not embedded yet.
    """

    def __init__(  # noqa: PLR0913  # the index, and the ports that measure how much of the catalogue it covers
        self,
        index: CredentialIndex,
        artifacts: EmbeddingArtifacts,
        runs: CatalogRuns,
        provider: str,
        model: str,
        *,
        check_every_s: float = CHECK_EVERY_S,
    ) -> None:
        self._index = index
        self._artifacts = artifacts
        self._runs = runs
        self._embedder = (provider, model)
        self._check_every_s = check_every_s
        self._next_check = 0.0
        self._embedded = False

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        if time.monotonic() >= self._next_check:
            self._embedded = await self._is_embedded()
            self._next_check = time.monotonic() + self._check_every_s
        if not self._embedded:
            raise ExternalServiceError(
                "The configured model has not embedded the catalogue yet: the workflow catalog-embedding does this"
            )
        return await self._index.search(queries, limit=limit)

    async def _is_embedded(self) -> bool:
        done = await self._artifacts.count_searchable(*self._embedder)
        left = await self._artifacts.count_pending(*self._embedder)
        if done >= WHOLE_SHARE * (done + left):
            return True
        try:
            await self._runs.start()
        except ExternalServiceError:
            log.warning("catalog_embedding_not_started")
        return False
