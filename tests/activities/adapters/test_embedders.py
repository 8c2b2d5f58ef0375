"""The contract of every embedder and the behaviour of MiniLM's; test_openai_embedder.py tests that of OpenAI's."""

import asyncio
import math
from pathlib import Path
from typing import Final

import pytest

from activities.adapters.minilm.chunks import CHUNK_PIECES, MOST_CHUNKS, chunks
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.minilm.runtimes import RuntimeName
from domain.errors import CorruptData
from domain.recommending.ports import Embedder
from domain.recommending.vectors import DIMENSIONS
from tests.activities.adapters.conftest import EmbedderOf, MiniLMBy
from tests.support.fake_search import FakeEmbedder

pytestmark = pytest.mark.timeout(600)  # the first test may export the model

APPLES = "Apples grow on trees in the orchard."
PEARS = "Pears grow on trees in the orchard."
TAXES = "Quarterly statements list what companies owe."
MINILM_BY: Final[tuple[RuntimeName, ...]] = ("torch", "onnx", "openvino", "onnx-int8")
COARSE: Final = {"openvino": 2e-3, "onnx-int8": 5e-2}


@pytest.fixture
def fake() -> Embedder:
    return FakeEmbedder()


@pytest.fixture
def openai(embedder_of: EmbedderOf) -> Embedder:
    """OpenAI's embedder over real HTTP; the server returns the same vectors as the fake."""
    return embedder_of()


@pytest.fixture(params=["fake", "minilm", "openai", *MINILM_BY])
def embedder(request: pytest.FixtureRequest, minilm_by: MiniLMBy) -> Embedder:
    if request.param in MINILM_BY:
        return minilm_by(request.param)
    found: Embedder = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def tolerance(embedder: Embedder, request: pytest.FixtureRequest) -> float:
    """The largest difference between equal numbers: two runtimes compute with fewer digits."""
    del embedder
    return COARSE.get(request.node.callspec.params["embedder"], 1e-5)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(mine * theirs for mine, theirs in zip(one, other, strict=True))


async def test_a_vector_has_384_dimensions_and_length_one(embedder: Embedder) -> None:
    for vector in await embedder.embed([APPLES, "", "?"]):
        assert len(vector) == DIMENSIONS
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)


async def test_no_text_gives_no_vector(embedder: Embedder) -> None:
    assert await embedder.embed([]) == []


async def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder, tolerance: float) -> None:
    texts = [TAXES, APPLES, f"{APPLES} {TAXES} {PEARS}"]

    together = await embedder.embed(texts)

    for text, vector in zip(texts, together, strict=True):
        assert vector == pytest.approx((await embedder.embed([text]))[0], abs=tolerance)


async def test_equal_calls_give_equal_vectors(embedder: Embedder) -> None:
    assert await embedder.embed([APPLES, TAXES]) == await embedder.embed([APPLES, TAXES])


async def test_alike_texts_have_alike_vectors(embedder: Embedder) -> None:
    apples, pears, taxes = await embedder.embed([APPLES, PEARS, TAXES])

    assert cosine(apples, pears) > cosine(apples, taxes)


async def test_calls_at_the_same_time_do_not_mix(minilm: MiniLMEmbedder) -> None:
    alone = [(await minilm.embed([text]))[0] for text in (APPLES, TAXES)]

    together = await asyncio.gather(minilm.embed([APPLES]), minilm.embed([TAXES]))

    assert [vectors[0] for vectors in together] == alone


async def test_text_after_256_word_pieces_counts_only_in_embed_long(minilm: MiniLMEmbedder) -> None:
    start = " ".join([APPLES] * 60)
    short, short_other = await minilm.embed([start, f"{start} {TAXES * 20}"])
    whole, whole_other = await minilm.embed_long([start, f"{start} {TAXES * 20}"])

    assert cosine(short, short_other) == pytest.approx(1, abs=1e-5)
    assert cosine(whole, whole_other) < 0.99


async def test_a_short_text_is_embedded_alike_both_ways(minilm: MiniLMEmbedder) -> None:
    assert (await minilm.embed_long([APPLES]))[0] == pytest.approx((await minilm.embed([APPLES]))[0], abs=1e-5)


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    embedder = MiniLMEmbedder(MiniLMSettings(path=tmp_path))

    with pytest.raises(CorruptData, match="MINILM_PATH"):
        await embedder.warm()


def words(text: str) -> list[tuple[int, int]]:
    """Return start and end of each word."""
    offsets, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        offsets.append((start, start + len(word)))
        start += len(word)
    return offsets


def test_chunks_are_whole_sentences_that_lose_nothing() -> None:
    text = " ".join(f"This is sentence number {number} of many." for number in range(90))

    cut = chunks(text, words)

    assert " ".join(chunk.text for chunk in cut) == text
    assert all(chunk.text.endswith(".") and chunk.pieces <= CHUNK_PIECES for chunk in cut)


def test_a_sentence_that_is_too_long_is_cut_within() -> None:
    cut = chunks("word " * (2 * CHUNK_PIECES + 5), words)

    assert [chunk.pieces for chunk in cut] == [CHUNK_PIECES, CHUNK_PIECES, 5]


@pytest.mark.parametrize("text", ["", "one", "One sentence. Another one."])
def test_a_short_text_is_one_chunk(text: str) -> None:
    assert [chunk.text for chunk in chunks(text, words)] == [text]


def test_of_a_very_long_text_the_beginning_and_the_end_are_read() -> None:
    cut = chunks(" ".join(f"w{place}" for place in range(100 * CHUNK_PIECES)), words)

    assert len(cut) == MOST_CHUNKS
    assert cut[0].text.startswith("w0 ")
    assert cut[-1].text.endswith(f" w{100 * CHUNK_PIECES - 1}")
    assert sum(chunk.pieces for chunk in cut) == MOST_CHUNKS * CHUNK_PIECES


async def test_the_longest_essay_is_read_in_so_many_chunks_in_any_script(minilm: MiniLMEmbedder) -> None:
    await minilm.warm()

    assert len(chunks("数据清洗很重要。" * 2_500, minilm._runtime().tokenizer.offsets)) == MOST_CHUNKS


async def test_a_short_text_does_not_wait_for_a_long_one(minilm: MiniLMEmbedder) -> None:
    done: list[str] = []

    async def embed(name: str, text: str) -> None:
        await minilm.embed_long([text])
        done.append(name)

    await asyncio.gather(embed("long", f"{APPLES} " * 200), embed("short", TAXES))

    assert done == ["short", "long"]
