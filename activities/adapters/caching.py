"""A cache for an embedder: the gap queries of a role are the same few texts for every learner."""

from collections import OrderedDict
from collections.abc import Sequence

from domain.recommending.ports import Embedder

MAX_TEXTS = 4_096
"""The cache size in texts; about 15 MB of vectors."""


class CachingEmbedder:
    """An Embedder with a least-recently-used cache of `max_texts` vectors of another one."""

    def __init__(self, embedder: Embedder, max_texts: int = MAX_TEXTS) -> None:
        self.provider = embedder.provider
        self.model = embedder.model
        self._embedder = embedder
        self._max_texts = max_texts
        self._vectors: OrderedDict[str, list[float]] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        known = {text: self._vectors[text] for text in texts if text in self._vectors}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known |= dict(zip(new, await self._embedder.embed(new), strict=True))
        for text in texts:
            self._vectors[text] = known[text]
            self._vectors.move_to_end(text)
        while len(self._vectors) > self._max_texts:
            self._vectors.popitem(last=False)
        return [known[text] for text in texts]
