"""The stores of the catalogue's vectors, by settings."""

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

if TYPE_CHECKING:
    from persistence.vectors.weaviate import WeaviateSettings


class VectorStores:
    """Where vectors are searched and kept: pgvector, and Weaviate before it where WEAVIATE_URL names one.

    Weaviate's client is imported here, so that workers of other queues do not hold its 28 MB.
    """

    def __init__(self, engine: Engine, settings: "WeaviateSettings", runs: CatalogRuns) -> None:
        from persistence.vectors.weaviate import Weaviate  # noqa: PLC0415

        self.ledger = SqlEmbeddingLedger(engine)
        self._engine = engine
        self._artifacts = SqlEmbeddingArtifacts(engine)
        self._deadline_s = settings.deadline_s
        self._weaviate = Weaviate(settings) if settings.url else None
        self._runs = runs

    def pgvector(self, provider: str, model: str) -> CredentialIndex:
        return PgVectorIndex(self._engine, provider, model)

    def when_embedded(self, provider: str, model: str) -> CredentialIndex:
        """Refuses to search while the catalogue has too few vectors of the model."""
        return EmbeddedIndex(self.index(provider, model), self._artifacts, self._runs, provider, model)

    def index(self, provider: str, model: str) -> CredentialIndex:
        pgvector = self.pgvector(provider, model)
        kept = self._kept(provider, model)
        if self._weaviate is None or kept is None:
            return pgvector
        from persistence.vectors.weaviate import WeaviateIndex  # noqa: PLC0415

        return FallbackIndex(
            WeaviateIndex(self._weaviate, provider, model),
            pgvector,
            is_whole=kept.is_whole,
            repair=self._runs.start,
            deadline_s=self._deadline_s,
        )

    def embedding(self, embedders: Sequence[Embedder]) -> CatalogEmbedding:
        """Weaviate holds the vectors of the first; of the others pgvector does."""
        return CatalogEmbedding(self._artifacts, embedders, self._kept(embedders[0].provider, embedders[0].model))

    async def close(self) -> None:
        if self._weaviate:
            await self._weaviate.close()

    def _kept(self, provider: str, model: str) -> CatalogIndex | None:
        if self._weaviate is None:
            return None
        from persistence.vectors.weaviate_writer import WeaviateIndexWriter  # noqa: PLC0415

        writer = WeaviateIndexWriter(self._weaviate, provider, model)
        return CatalogIndex(artifacts=self._artifacts, writer=writer, provider=provider, model=model)
