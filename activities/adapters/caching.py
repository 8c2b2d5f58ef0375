"""An embedder that remembers: the queries of a role's gaps are the same few texts for every learner."""

from collections import OrderedDict
from collections.abc import Sequence

from domain.recommending.ports import Embedder

KEPT = 4_096
"""Texts remembered, at most; some 15 MB of vectors."""


class CachingEmbedder:
    """Another Embedder's vectors, made once while the text is among the last `kept` asked for."""

    def __init__(self, embedder: Embedder, kept: int = KEPT) -> None:
        self.provider = embedder.provider
        self.model = embedder.model
        self._embedder = embedder
        self._kept = kept
        self._vectors: OrderedDict[str, list[float]] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        known = {text: self._vectors[text] for text in texts if text in self._vectors}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known |= dict(zip(new, await self._embedder.embed(new), strict=True))
        for text in texts:
            self._vectors[text] = known[text]
            self._vectors.move_to_end(text)
        while len(self._vectors) > self._kept:
            self._vectors.popitem(last=False)
        return [known[text] for text in texts]
