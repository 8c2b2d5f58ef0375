"""Caches of vectors: rankings embed the gap queries of a role again, and gradings a question's labelled answers."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from domain.ids import content_hash
from domain.recommending.ports import Embedder

MAX_TEXTS: Final = 4_096
"""The cache size in texts; about 15 MB of vectors."""
AT_ONCE: Final = 32
"""The number of texts whose vectors are kept together. A call that is repeated after a timeout does not embed them
again; 32 essays take about four seconds."""


class LongTextEmbedder(Protocol):
    """A model that embeds whole texts as unit vectors."""

    model: str

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]: ...


class CachingEmbedder:
    """An Embedder with a least-recently-used cache of `max_texts` vectors of another one."""

    def __init__(self, embedder: Embedder, max_texts: int = MAX_TEXTS) -> None:
        self.provider = embedder.provider
        self.model = embedder.model
        self._vectors = _Vectors(embedder.embed, max_texts)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return await self._vectors.of(texts)


class CachingLongTextEmbedder:
    """The same for a LongTextEmbedder."""

    def __init__(self, embedder: LongTextEmbedder, max_texts: int = MAX_TEXTS) -> None:
        self.model = embedder.model
        self._vectors = _Vectors(embedder.embed_long, max_texts)

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        return await self._vectors.of(texts)


class _Vectors:
    """A least-recently-used cache of vectors. Its keys are hashes, because an essay takes more room than its vector."""

    def __init__(self, embed: Callable[[Sequence[str]], Awaitable[list[list[float]]]], max_texts: int) -> None:
        self._embed = embed
        self._max_texts = max_texts
        self._kept: OrderedDict[str, NDArray[np.float64]] = OrderedDict()

    async def of(self, texts: Sequence[str]) -> list[list[float]]:
        keys = {text: content_hash(text) for text in texts}
        found = {key: self._kept[key] for key in keys.values() if key in self._kept}
        new = [text for text, key in keys.items() if key not in found]
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            made = zip((keys[text] for text in some), await self._embed(some), strict=True)
            vectors = {key: np.array(vector, dtype=np.float64) for key, vector in made}
            self._keep(vectors.items())
            found |= vectors
        self._keep((key, found[key]) for key in keys.values())
        return [found[keys[text]].tolist() for text in texts]

    def _keep(self, vectors: Iterable[tuple[str, NDArray[np.float64]]]) -> None:
        for key, vector in vectors:
            self._kept[key] = vector
            self._kept.move_to_end(key)
        while len(self._kept) > self._max_texts:
            self._kept.popitem(last=False)
