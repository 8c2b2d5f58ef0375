"""Build the stores of the catalogue's vectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from activities.catalog_embedding import CatalogEmbedding
from activities.embedded_index import EmbeddedIndex
from activities.index_catalog import CatalogIndex
from domain.recommending.ports import CatalogRuns, CredentialIndex, Embedder
from persistence.database import Engine
from persistence.repositories.embedding_ledger import SqlEmbeddingLedger
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.vectors.fallback import FallbackIndex
from persistence.vectors.pgvector import PgVectorIndex
from persistence.vectors.weaviate_settings import WeaviateSettings

if TYPE_CHECKING:
    from persistence.vectors.weaviate import Weaviate


class VectorStores:
    """Builds the indexes of the catalogue: Weaviate with pgvector as fallback if WEAVIATE_URL is set, else pgvector.

    Only with WEAVIATE_URL, the constructor imports Weaviate's client, which takes a second of CPU time and 28 MB of
    memory.
    """

    def __init__(self, engine: Engine, settings: WeaviateSettings, runs: CatalogRuns) -> None:
        self.ledger = SqlEmbeddingLedger(engine)
        self._engine = engine
        self._artifacts = SqlEmbeddingArtifacts(engine)
        self._deadline_s = settings.deadline_s
        self._weaviate = _connection(settings) if settings.url else None
        self._runs = runs

    def pgvector(self, provider: str, model: str) -> CredentialIndex:
        return PgVectorIndex(self._engine, provider, model)

    def when_embedded(self, provider: str, model: str) -> CredentialIndex:
        """An index that raises on a search until enough of the catalogue has vectors of the model."""
        return EmbeddedIndex(self.index(provider, model), self._artifacts, self._runs, provider, model)

    def index(self, provider: str, model: str) -> CredentialIndex:
        pgvector = self.pgvector(provider, model)
        catalog = self._weaviate_catalog(provider, model)
        if self._weaviate is None or catalog is None:
            return pgvector
        from persistence.vectors.weaviate import WeaviateIndex  # noqa: PLC0415

        return FallbackIndex(
            WeaviateIndex(self._weaviate, provider, model),
            pgvector,
            is_whole=catalog.is_whole,
            repair=self._runs.start,
            deadline_s=self._deadline_s,
        )

    def embedding(self, embedders: Sequence[Embedder]) -> CatalogEmbedding:
        """The activities that embed the catalogue. Weaviate stores the vectors of the first embedder only."""
        return CatalogEmbedding(
            self._artifacts, embedders, self._weaviate_catalog(embedders[0].provider, embedders[0].model)
        )

    async def close(self) -> None:
        if self._weaviate:
            await self._weaviate.close()

    def _weaviate_catalog(self, provider: str, model: str) -> CatalogIndex | None:
        if self._weaviate is None:
            return None
        from persistence.vectors.weaviate_writer import WeaviateIndexWriter  # noqa: PLC0415

        writer = WeaviateIndexWriter(self._weaviate, provider, model)
        return CatalogIndex(artifacts=self._artifacts, writer=writer, provider=provider, model=model)


def _connection(settings: WeaviateSettings) -> "Weaviate":
    from persistence.vectors.weaviate import Weaviate  # noqa: PLC0415

    return Weaviate(settings)
