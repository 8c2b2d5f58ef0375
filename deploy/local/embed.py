"""`python -m deploy.local.embed`: vectors by MiniLM for the credentials in DATABASE_URL that lack one."""

import asyncio

import structlog

from activities.adapters.minilm import MiniLMEmbedder, MiniLMSettings
from activities.embed_catalog import embed_catalog
from domain.ports import EmbeddingArtifacts
from persistence.embeddings import SqlEmbeddingArtifacts
from persistence.engine import DatabaseSettings, create_engine

log = structlog.get_logger(__name__)


async def main() -> None:
    engine = create_engine(DatabaseSettings())
    try:
        await embed_pending(SqlEmbeddingArtifacts(engine))
    finally:
        await engine.dispose()


async def embed_pending(artifacts: EmbeddingArtifacts) -> int:
    """How many credentials got a vector; the model is loaded only if there are any."""
    embedder = MiniLMEmbedder(MiniLMSettings())
    try:
        done = await embed_catalog(artifacts, embedder, on_progress=_progress)
    finally:
        embedder.close()
    log.info("catalog_embedded", credentials=done)
    return done


def _progress(done: int, total: int) -> None:
    log.info("catalog_embedding", done=done, total=total)


if __name__ == "__main__":
    asyncio.run(main())
