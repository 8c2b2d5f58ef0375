"""A catalogue that the configured model has not embedded is an error, not an empty catalogue."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.embed_catalog import embed_catalog
from activities.embedded_index import EmbeddedIndex
from domain.errors import ExternalServiceError
from domain.recommending.ports import CatalogText, SearchQuery
from persistence.database import create_engine
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.tables import EmbeddingArtifactRow
from persistence.vectors.pgvector import PgVectorIndex
from tests.domain.builders import an_id
from tests.support.databases import Databases, settings_of
from tests.support.fake_engine import RecordingCatalogRuns
from tests.support.fake_search import FakeEmbedder, InMemoryCredentialIndex, InMemoryEmbeddingArtifacts, bag_of_words

QUERY = SearchQuery(text="a", vector=bag_of_words("a"))
BEFORE, NOW = ("sentence-transformers", "all-MiniLM-L6-v2"), ("openai", "text-embedding-3-small")


def texts(number: int) -> list[CatalogText]:
    return [CatalogText(credential_id=an_id(f"c{i}"), text=f"Text {i}", text_hash=f"{i:064}") for i in range(number)]


def an_index(
    artifacts: InMemoryEmbeddingArtifacts, runs: RecordingCatalogRuns, check_every_s: float = 0
) -> EmbeddedIndex:
    return EmbeddedIndex(
        InMemoryCredentialIndex([]),
        artifacts,
        runs,
        FakeEmbedder.provider,
        FakeEmbedder.model,
        check_every_s=check_every_s,
    )


async def test_before_the_catalogue_is_embedded_a_search_fails_and_starts_the_embedding() -> None:
    runs = RecordingCatalogRuns()

    with pytest.raises(ExternalServiceError):
        await an_index(InMemoryEmbeddingArtifacts(texts(3)), runs).search([QUERY], limit=1)

    assert runs.starts == 1


async def test_an_embedded_catalogue_is_searched() -> None:
    artifacts, runs = InMemoryEmbeddingArtifacts(texts(3)), RecordingCatalogRuns()
    index = an_index(artifacts, runs)
    with pytest.raises(ExternalServiceError):
        await index.search([QUERY], limit=1)

    await embed_catalog(artifacts, FakeEmbedder())

    assert (await index.search([QUERY], limit=1)).degraded_reason is None
    assert runs.starts == 1


async def test_new_credentials_do_not_stop_the_search() -> None:
    artifacts, runs = InMemoryEmbeddingArtifacts(texts(100)), RecordingCatalogRuns()
    await embed_catalog(artifacts, FakeEmbedder(), at_most=95)

    await an_index(artifacts, runs).search([QUERY], limit=1)

    assert runs.starts == 0


async def test_postgres_is_not_asked_at_every_search_and_one_run_is_enough() -> None:
    runs = RecordingCatalogRuns()
    index = an_index(InMemoryEmbeddingArtifacts(texts(3)), runs, check_every_s=60)

    for _ in range(3):
        with pytest.raises(ExternalServiceError):
            await index.search([QUERY], limit=1)

    assert runs.starts == 1


async def test_an_engine_that_does_not_start_the_run_changes_nothing() -> None:
    with pytest.raises(ExternalServiceError):
        await an_index(InMemoryEmbeddingArtifacts(texts(1)), RecordingCatalogRuns(down=True)).search([QUERY], limit=1)


async def test_an_empty_catalogue_counts_as_embedded() -> None:
    assert (await an_index(InMemoryEmbeddingArtifacts([]), RecordingCatalogRuns()).search([QUERY], limit=1)).hits


class Embedder(FakeEmbedder):
    def __init__(self, provider: str, model: str) -> None:
        super().__init__()
        self.provider, self.model = provider, model


@pytest.fixture
async def engine(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    """The project's catalogue without embeddings."""
    with databases.new(f"{worker_name}_switched") as url:
        engine = create_engine(settings_of(url))
        async with engine.begin() as connection:
            await connection.execute(delete(EmbeddingArtifactRow))
        yield engine
        await engine.dispose()


async def test_after_a_change_of_provider_vectors_of_the_former_one_are_not_searched(engine: AsyncEngine) -> None:
    artifacts, runs = SqlEmbeddingArtifacts(engine), RecordingCatalogRuns()
    embedded = await embed_catalog(artifacts, Embedder(*BEFORE))
    now = PgVectorIndex(engine, *NOW)
    guarded = EmbeddedIndex(now, artifacts, runs, *NOW, check_every_s=0)

    found = (await now.search([SearchQuery(text="data", vector=bag_of_words("data"))], limit=10)).hits
    with pytest.raises(ExternalServiceError):
        await guarded.search([QUERY], limit=1)
    embedded_anew = await embed_catalog(artifacts, Embedder(*NOW))
    found_then = (await guarded.search([SearchQuery(text="data", vector=bag_of_words("data"))], limit=10)).hits

    made_by_now = (await artifacts.searchable(*NOW)).values()
    assert found == ((),)
    assert embedded_anew == embedded > 0
    assert found_then[0]
    assert {hit.artifact_id for hit in found_then[0]} <= set(made_by_now)
    assert runs.starts == 1
