"""Gives every active credential a vector of its current text."""

from collections.abc import Callable

from domain.ports import Embedder, EmbeddingArtifacts


async def embed_catalog(
    artifacts: EmbeddingArtifacts,
    embedder: Embedder,
    *,
    batch: int = 64,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Embeds what has no vector yet and returns how many texts that were.

    Each batch is kept before the next begins, so a repetition goes on where the last one stopped. `on_progress` is
    told how many are done and how many there were to do.
    """
    total = await artifacts.count_pending(embedder.provider, embedder.model)
    done = 0
    while pending := await artifacts.pending(embedder.provider, embedder.model, limit=batch):
        vectors = await embedder.embed([each.text for each in pending])
        await artifacts.add(embedder.provider, embedder.model, list(zip(pending, vectors, strict=True)))
        done += len(pending)
        if on_progress:
            on_progress(done, total)
    return done
