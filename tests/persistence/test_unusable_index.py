"""An incomplete or foreign Weaviate index: PostgreSQL searches, the result is degraded, and the index is rebuilt."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from weaviate.classes.config import DataType, Property

from activities.embed_catalog import embed_catalog
from activities.index_catalog import CatalogIndex, rebuild
from domain.grading.scores import DegradedReason
from domain.recommending.ports import SearchQuery
from persistence.database import create_engine
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.vectors.fallback import FallbackIndex
from persistence.vectors.pgvector import PgVectorIndex
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_schema import alias_of
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.persistence.index_stores import PROVIDER, discard
from tests.support.databases import Databases, settings_of
from tests.support.fake_engine import RecordingCatalogRuns
from tests.support.fake_search import FakeEmbedder, bag_of_words

QUERIES = [SearchQuery(text=words, vector=bag_of_words(words)) for words in ("data", "customer orders")]
DEADLINE_S = 30.0


class Embedder(FakeEmbedder):
    provider = PROVIDER

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model


@pytest.fixture(scope="module")
async def database(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    """The project's catalogue."""
    with databases.new(f"{worker_name}_unusable") as url:
        engine = create_engine(settings_of(url))
        yield engine
        await engine.dispose()


@pytest.fixture
async def kept(database: AsyncEngine, weaviate: Weaviate) -> AsyncIterator[CatalogIndex]:
    """All vectors by a model that no other test uses, and an empty index."""
    model = f"test-{uuid4()}"
    artifacts = SqlEmbeddingArtifacts(database)
    await embed_catalog(artifacts, Embedder(model))
    writer = WeaviateIndexWriter(weaviate, PROVIDER, model)
    yield CatalogIndex(artifacts=artifacts, writer=writer, provider=PROVIDER, model=model)
    await discard(weaviate, model)


State: TypeAlias = Callable[[CatalogIndex, Weaviate], Awaitable[None]]


async def missing(kept: CatalogIndex, weaviate: Weaviate) -> None:
    del kept, weaviate


async def of_another_schema(kept: CatalogIndex, weaviate: Weaviate) -> None:
    alias = alias_of(kept.provider, kept.model)
    await (await weaviate.client()).collections.create(alias, properties=[Property(name="x", data_type=DataType.TEXT)])


async def empty(kept: CatalogIndex, weaviate: Weaviate) -> None:
    del weaviate
    await kept.writer.finish(await kept.writer.begin())


async def half_filled(kept: CatalogIndex, weaviate: Weaviate) -> None:
    await empty(kept, weaviate)
    held = list((await kept.artifacts.searchable(kept.provider, kept.model)).values())
    await kept.writer.upsert(await kept.artifacts.entries(held[: len(held) // 2]))


@pytest.mark.parametrize("state", [missing, of_another_schema, empty, half_filled])
async def test_an_index_that_is_not_ours_or_not_whole_is_not_searched_until_it_is_rebuilt(
    database: AsyncEngine, weaviate: Weaviate, kept: CatalogIndex, state: State
) -> None:
    runs, pgvector = RecordingCatalogRuns(), PgVectorIndex(database, kept.provider, kept.model)
    primary = WeaviateIndex(weaviate, kept.provider, kept.model)
    index = FallbackIndex(
        primary, pgvector, is_whole=kept.is_whole, repair=runs.start, deadline_s=DEADLINE_S, checked_for_s=0
    )
    await state(kept, weaviate)

    before = await index.search(QUERIES, limit=5)
    await rebuild(kept)
    after = await index.search(QUERIES, limit=5)

    assert before.hits == (await pgvector.search(QUERIES, limit=5)).hits
    assert before.degraded_reason is DegradedReason.VECTOR_STORE_FALLBACK
    assert runs.starts == 1
    assert after == await primary.search(QUERIES, limit=5)
    assert after.degraded_reason is None
