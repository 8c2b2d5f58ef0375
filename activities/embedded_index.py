"""An index that says so while the catalogue has too few vectors to be searched by."""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from activities.index_catalog import WHOLE_SHARE
from domain.errors import ExternalServiceError
from domain.recommending.ports import CatalogRuns, CredentialIndex, EmbeddingArtifacts, SearchQuery, SearchResult

ASKED_EVERY_S: Final = 30.0

log = structlog.get_logger(__name__)


class EmbeddedIndex:
    """Searches another index once the model has embedded the catalogue; before, as after a change of model, it raises.

    Postgres is asked every `asked_every_s`; while the answer is no, the run that embeds is started.

    Raises:
        ExternalServiceError: the catalogue is not embedded yet.
    """

    def __init__(  # noqa: PLR0913  # an index, and what tells how much of the catalogue it can find
        self,
        index: CredentialIndex,
        artifacts: EmbeddingArtifacts,
        runs: CatalogRuns,
        provider: str,
        model: str,
        *,
        asked_every_s: float = ASKED_EVERY_S,
    ) -> None:
        self._index = index
        self._artifacts = artifacts
        self._runs = runs
        self._made_by = (provider, model)
        self._asked_every_s = asked_every_s
        self._asked_until = 0.0
        self._embedded = False

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        if time.monotonic() >= self._asked_until:
            self._embedded = await self._ask()
            self._asked_until = time.monotonic() + self._asked_every_s
        if not self._embedded:
            raise ExternalServiceError(
                "The catalogue is not embedded by the configured model yet: the run catalog-embedding does it"
            )
        return await self._index.search(queries, limit=limit)

    async def _ask(self) -> bool:
        done = await self._artifacts.count_searchable(*self._made_by)
        left = await self._artifacts.count_pending(*self._made_by)
        if done >= WHOLE_SHARE * (done + left):
            return True
        try:
            await self._runs.start()
        except ExternalServiceError:
            log.warning("catalog_embedding_not_started")
        return False
