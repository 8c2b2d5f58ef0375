import pytest

from activities.embed_catalog import embed_catalog
from domain.errors import ExternalServiceError
from domain.recommending.ports import CatalogText
from tests.domain.builders import an_id
from tests.support.fake_search import FakeEmbedder, InMemoryEmbeddingArtifacts


def texts(number: int) -> list[CatalogText]:
    return [CatalogText(credential_id=an_id(f"c{i}"), text=f"Text {i}", text_hash=f"{i:064}") for i in range(number)]


class FailingEmbedder(FakeEmbedder):
    """Fail after that number of batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    async def embed(self, texts: object) -> list[list[float]]:
        self.left -= 1
        if self.left < 0:
            raise ExternalServiceError("The model is gone")
        return await super().embed(texts)  # type: ignore[arg-type]  # passed on as it came


async def test_every_text_gets_a_vector_in_batches() -> None:
    artifacts, embedder = InMemoryEmbeddingArtifacts(texts(5)), FakeEmbedder()

    assert await embed_catalog(artifacts, embedder, batch=2) == 5
    assert embedder.batches == [2, 2, 1]
    assert len(artifacts.vectors) == 5


async def test_a_repetition_embeds_nothing() -> None:
    artifacts, embedder = InMemoryEmbeddingArtifacts(texts(3)), FakeEmbedder()
    await embed_catalog(artifacts, embedder)

    assert await embed_catalog(artifacts, embedder) == 0
    assert embedder.batches == [3]


async def test_a_repeated_call_continues_where_the_last_one_stopped() -> None:
    artifacts = InMemoryEmbeddingArtifacts(texts(5))
    with pytest.raises(ExternalServiceError):
        await embed_catalog(artifacts, FailingEmbedder(batches=2), batch=2)

    assert await embed_catalog(artifacts, FakeEmbedder(), batch=2) == 1


async def test_only_a_changed_text_is_embedded_again() -> None:
    artifacts = InMemoryEmbeddingArtifacts(texts(3))
    await embed_catalog(artifacts, FakeEmbedder())
    artifacts.texts[1] = CatalogText(credential_id=an_id("c1"), text="Other", text_hash="f" * 64)

    assert await embed_catalog(artifacts, FakeEmbedder()) == 1


async def test_progress_is_reported_after_each_batch() -> None:
    told: list[tuple[int, int]] = []

    await embed_catalog(
        InMemoryEmbeddingArtifacts(texts(3)), FakeEmbedder(), batch=2, on_progress=lambda *numbers: told.append(numbers)
    )

    assert told == [(2, 3), (3, 3)]
