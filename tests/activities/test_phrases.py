"""Embedding a text of several lines as one vector."""

import math
from operator import mul

import pytest

from activities.phrases import embed_lines
from tests.support.fake_search import FakeEmbedder


async def test_a_single_line_has_the_embedders_own_vector() -> None:
    assert await embed_lines(FakeEmbedder(), ["joins", ""]) == await FakeEmbedder().embed(["joins", ""])


async def test_each_line_counts_the_same_however_long() -> None:
    long = "charts and scales and labels"
    (joins,), (charts,) = await FakeEmbedder().embed(["joins"]), await FakeEmbedder().embed([long])

    (vector,) = await embed_lines(FakeEmbedder(), [f"joins\n\n{long}\n"])

    assert math.hypot(*vector) == pytest.approx(1)
    assert sum(map(mul, vector, joins)) == pytest.approx(sum(map(mul, vector, charts)))


async def test_vectors_stand_in_the_order_of_the_texts_and_all_are_made_at_once() -> None:
    embedder = FakeEmbedder()

    vectors = await embed_lines(embedder, ["a\nb", "c", "b\na"])

    assert vectors[0] == pytest.approx(vectors[2])
    assert vectors[1] == (await FakeEmbedder().embed(["c"]))[0]
    assert embedder.batches == [5]


async def test_no_text_gives_no_vector() -> None:
    assert await embed_lines(FakeEmbedder(), []) == []
