"""The cache of an embedder."""

from collections.abc import Sequence

from activities.adapters.caching import CachingEmbedder
from tests.support.fake_search import FakeEmbedder


class CountingEmbedder(FakeEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return await super().embed(texts)


async def test_a_text_is_embedded_once() -> None:
    inner = CountingEmbedder()
    embedder = CachingEmbedder(inner)

    await embedder.embed(["joins", "charts", "joins"])
    await embedder.embed(["charts"])

    assert inner.asked == ["joins", "charts"]


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    embedder = CachingEmbedder(FakeEmbedder())
    await embedder.embed(["charts"])

    assert await embedder.embed(["joins", "charts"]) == await FakeEmbedder().embed(["joins", "charts"])


async def test_the_least_recently_used_text_is_evicted_first() -> None:
    inner = CountingEmbedder()
    embedder = CachingEmbedder(inner, max_texts=2)
    await embedder.embed(["a", "b"])
    await embedder.embed(["a"])

    await embedder.embed(["c"])
    await embedder.embed(["a", "b"])

    assert inner.asked == ["a", "b", "c", "b"]


async def test_a_call_may_have_more_texts_than_the_cache() -> None:
    embedder = CachingEmbedder(FakeEmbedder(), max_texts=1)

    assert len(await embedder.embed(["a", "b", "c"])) == 3
