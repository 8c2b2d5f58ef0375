"""The caches of embedders."""

from collections.abc import Sequence

import pytest

from activities.adapters.caching import AT_ONCE, CachingEmbedder, CachingLongTextEmbedder
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


class FailingLater(FakeEmbedder):
    """Embeds `calls` times. Each later call takes too long for its activity."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls
        self.asked: list[str] = []

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        if not self.left:
            raise TimeoutError
        self.left -= 1
        self.asked += texts
        return await super().embed(texts)


async def test_long_texts_that_were_embedded_before_a_timeout_are_not_embedded_again() -> None:
    texts = [f"essay {number}" for number in range(3 * AT_ONCE)]
    inner = FailingLater(calls=2)
    embedder = CachingLongTextEmbedder(inner)
    with pytest.raises(TimeoutError):
        await embedder.embed_long(texts)

    inner.left = 1

    assert await embedder.embed_long(texts) == await FakeEmbedder().embed(texts)
    assert inner.asked == texts
