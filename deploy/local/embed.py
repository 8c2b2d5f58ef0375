"""Embed the credentials in DATABASE_URL that have no vector, with MiniLM: `python -m deploy.local.embed`.

With WEAVIATE_URL, synchronize that server's index with the database afterwards.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.embed_catalog import embed_catalog
from activities.index_catalog import CatalogIndex, converge, rebuild
from domain.recommending.ports import EmbeddingArtifacts
from persistence.database import DatabaseSettings, create_engine
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.vectors.weaviate_settings import WeaviateSettings

BATCH: Final = 32
"""Credentials between two progress reports: some seconds of work."""

log = structlog.get_logger(__name__)


async def main() -> None:
    engine = create_engine(DatabaseSettings())
    try:
        await embed_and_index(SqlEmbeddingArtifacts(engine), WeaviateSettings())
    finally:
        await engine.dispose()


async def embed_and_index(
    artifacts: EmbeddingArtifacts, settings: WeaviateSettings, report: Callable[[str], None] = lambda _: None
) -> None:
    """Make every active credential searchable for workers with these settings."""
    await embed_pending(artifacts, report)
    if not settings.url:
        return
    from persistence.vectors.weaviate import Weaviate  # noqa: PLC0415  # only a stack with Weaviate needs its client
    from persistence.vectors.weaviate_writer import WeaviateIndexWriter  # noqa: PLC0415

    report("comparing Weaviate's index with the catalogue")
    embedder = MiniLMEmbedder(MiniLMSettings())
    provider, model = embedder.provider, embedder.model
    async with Weaviate(settings) as weaviate:
        writer = WeaviateIndexWriter(weaviate, provider, model)
        catalog = CatalogIndex(artifacts=artifacts, writer=writer, provider=provider, model=model)
        usable = await writer.is_usable(at_least=0)
        diff = await converge(catalog) if usable else await rebuild(catalog)
    log.info("catalog_indexed", rebuilt=not usable, credentials=diff.indexed, changed=diff.total)


async def embed_pending(artifacts: EmbeddingArtifacts, report: Callable[[str], None] = lambda _: None) -> int:
    """Embed credentials without a vector and return their number. Loads the model only if there are any."""

    def on_progress(done: int, total: int) -> None:
        log.info("catalog_embedding", done=done, total=total)
        report(f"embedded {done} of {total} credentials")

    embedder = MiniLMEmbedder(MiniLMSettings())
    if pending := await artifacts.count_pending(embedder.provider, embedder.model):
        report(f"loading the model that embeds {pending} credentials")
    try:
        done = await embed_catalog(artifacts, embedder, batch=BATCH, on_progress=on_progress)
    finally:
        embedder.close()
    log.info("catalog_embedded", credentials=done)
    return done


if __name__ == "__main__":
    asyncio.run(main())
