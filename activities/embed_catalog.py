"""Embed the current text of every active credential."""

from collections.abc import Callable

from activities.phrases import embed_lines
from domain.recommending.ports import Embedder, EmbeddingArtifacts


async def embed_catalog(
    artifacts: EmbeddingArtifacts,
    embedder: Embedder,
    *,
    batch: int = 64,
    at_most: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Embed the texts without a vector, `at_most` of them if given, and return how many were embedded.

    Each batch is stored before the next one starts, so a repeated call continues where the last one stopped.
    `on_progress` receives the number done and the total.
    """
    total = await artifacts.count_pending(embedder.provider, embedder.model)
    done = 0
    room = batch if at_most is None else min(batch, at_most)
    while room and (pending := await artifacts.pending(embedder.provider, embedder.model, limit=room)):
        vectors = await embed_lines(embedder, [each.text for each in pending])
        await artifacts.add(embedder.provider, embedder.model, list(zip(pending, vectors, strict=True)))
        done += len(pending)
        if on_progress:
            on_progress(done, total)
        room = batch if at_most is None else min(batch, at_most - done)
    return done
