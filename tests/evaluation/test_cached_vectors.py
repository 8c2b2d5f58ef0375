"""Vectors of evaluations are cached on disk."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.evaluation.cached_vectors import CachedVectors
from tests.support.fake_search import FakeEmbedder


class CountingEmbedder(FakeEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.embedded += texts
        return await super().embed(texts)


async def test_embeds_a_text_once_over_several_runs(tmp_path: Path) -> None:
    first, second = CountingEmbedder(), CountingEmbedder()
    made = await CachedVectors(first, tmp_path).embed(["joins", "sorting", "joins"])

    found = await CachedVectors(second, tmp_path).embed(["sorting", "joins", "indexes"])

    assert (first.embedded, second.embedded) == (["joins", "sorting"], ["indexes"])
    assert found[:2] == [made[1], made[0]]


async def test_returns_the_vectors_of_the_embedder(tmp_path: Path) -> None:
    (vector,) = await CachedVectors(CountingEmbedder(), tmp_path).embed(["joins"])

    assert vector == pytest.approx((await FakeEmbedder().embed(["joins"]))[0], abs=1e-6)


async def test_caches_short_and_long_texts_separately(tmp_path: Path) -> None:
    embedder = CountingEmbedder()
    cached = CachedVectors(embedder, tmp_path)

    await cached.embed_long(["joins"])
    embedder.embedded.clear()
    await cached.embed(["joins"])

    assert embedder.embedded == ["joins"]


async def test_shows_progress_on_stderr_only_while_it_embeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = CachedVectors(CountingEmbedder(), tmp_path)

    await cached.embed(["joins", "sorting"])
    first = capsys.readouterr()
    await cached.embed(["joins", "sorting"])

    assert (first.out, first.err) == ("", "\r2 of 2 texts embedded\n")
    assert capsys.readouterr().err == ""
