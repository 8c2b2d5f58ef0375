"""The sentence-transformers model all-MiniLM-L6-v2, loaded from disk and run in its own thread."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from activities.adapters.minilm.chunks import Chunk, chunks
from activities.adapters.minilm.loading import load_runtime
from activities.adapters.minilm.runtimes import Runtime
from activities.adapters.minilm.settings import MiniLMSettings
from domain.errors import CorruptData
from domain.recommending.vectors import DIMENSIONS

__all__ = ["MiniLMEmbedder", "MiniLMSettings"]

BATCH = 8
"""The number of texts in a forward pass. Larger batches are no faster on a CPU and need more padding."""
CHUNK_BATCH = 2
"""The same for the chunks of an essay, where padding costs more than another forward pass. Two chunks take about 0.2 s
on one core, which is how long another call waits."""

Made = TypeVar("Made")
Vector: TypeAlias = NDArray[np.float32]


class MiniLMEmbedder:
    """An Embedder that also embeds long texts in full. It never uses the network.

    One thread runs the model, one batch of texts at a time. Concurrent calls alternate between batches, so a search
    does not wait for a long essay, and the event loop is never blocked. `warm` loads the model; otherwise the first
    call does. `model` tells which vectors may be compared.
    """

    provider = "sentence-transformers"
    model = "all-MiniLM-L6-v2"

    def __init__(self, settings: MiniLMSettings) -> None:
        if settings.precision == "int8":
            self.model = f"{MiniLMEmbedder.model}-int8"
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm")
        self._loaded: Runtime | None = None

    async def warm(self) -> None:
        """Load the model, which takes seconds, and run it once.

        Raises:
            CorruptData: the files are missing or belong to another model, or the runtime makes other vectors.
            InvalidInput: the configured runtime is not installed.
        """
        await self.embed(["warm"])

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit vector per text, of its first 256 word pieces: for queries and catalogue texts."""
        return [vector.tolist() for vector in await self._in_batches(texts, BATCH)]

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit vector per text: the mean of its chunks' vectors, weighted by their length.

        The middle of a very long text is ignored (`chunks.MOST_CHUNKS`).
        """
        cut = [await self._run(partial(self._cut, text)) for text in texts]
        vectors = iter(await self._in_batches([chunk.text for parts in cut for chunk in parts], CHUNK_BATCH))
        means = [_mean(parts, [next(vectors) for _ in parts]) for parts in cut]
        return [vector.tolist() for vector in _checked(means)]

    async def words(self) -> frozenset[str]:
        """Return about 20,000 frequent English words in lower case."""
        return await self._run(self._words)

    def close(self) -> None:
        """Wait for the running call and reject later ones."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _in_batches(self, texts: Sequence[str], size: int) -> list[Vector]:
        """Return one unit vector per text, from batches of texts with similar lengths; other calls run in between."""
        by_length = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        found: dict[int, Vector] = {}
        for start in range(0, len(by_length), size):
            places = by_length[start : start + size]
            batch = await self._run(partial(self._encode, [texts[place] for place in places]))
            found |= zip(places, batch, strict=True)
        return [found[place] for place in range(len(texts))]

    def _encode(self, texts: list[str]) -> list[Vector]:
        return _checked(self._runtime().encode(texts))

    def _words(self) -> frozenset[str]:
        return self._runtime().tokenizer.words()

    def _cut(self, text: str) -> list[Chunk]:
        return chunks(text, self._runtime().tokenizer.offsets)

    def _runtime(self) -> Runtime:
        """Return the loaded model; called only in the model's thread."""
        if self._loaded is None:
            self._loaded = load_runtime(self._settings)
        return self._loaded


def _mean(parts: Sequence[Chunk], vectors: Sequence[Vector]) -> Vector:
    mean = np.average(vectors, axis=0, weights=[chunk.pieces for chunk in parts])
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def _checked(vectors: Iterable[Vector]) -> list[Vector]:
    checked = list(vectors)
    if not all(vector.shape == (DIMENSIONS,) and np.isfinite(vector).all() for vector in checked):
        raise CorruptData("The embedding model returned a vector of the wrong size or with NaN or infinite values")
    return checked
