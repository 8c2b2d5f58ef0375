"""The contract of every store of embeddings: in memory and in PostgreSQL."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.embed_catalog import embed_catalog
from domain.errors import InvalidInput
from domain.ids import content_hash
from domain.recommending.ports import EmbeddingArtifacts
from persistence.database import create_engine
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.tables import CredentialRow, EmbeddingArtifactRow
from tests.support.databases import Databases, settings_of
from tests.support.fake_search import FakeEmbedder, InMemoryEmbeddingArtifacts, bag_of_words

PROVIDER, MODEL = "fake", "bag-of-words"

Change: TypeAlias = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
async def database(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    """A database for tests that commit, because the store uses its own transactions."""
    with databases.new(f"{worker_name}_artifacts") as url:
        engine = create_engine(settings_of(url))
        yield engine
        await engine.dispose()


@pytest.fixture
async def catalog(database: AsyncEngine) -> AsyncEngine:
    """The project's credentials, without embeddings."""
    async with database.begin() as connection:
        await connection.execute(delete(EmbeddingArtifactRow))
    return database


@pytest.fixture(params=["memory", "postgres"])
async def artifacts(request: pytest.FixtureRequest, catalog: AsyncEngine) -> EmbeddingArtifacts:
    """Both stores, with the same texts."""
    stored = SqlEmbeddingArtifacts(catalog)
    if request.param == "postgres":
        return stored
    return InMemoryEmbeddingArtifacts(await stored.pending(PROVIDER, MODEL, limit=1000))


async def test_a_text_with_a_vector_is_not_pending(artifacts: EmbeddingArtifacts) -> None:
    before = await artifacts.count_pending(PROVIDER, MODEL)
    first, second = await artifacts.pending(PROVIDER, MODEL, limit=2)

    await artifacts.add(PROVIDER, MODEL, [(first, bag_of_words(first.text))])

    assert await artifacts.count_pending(PROVIDER, MODEL) == before - 1
    assert (await artifacts.pending(PROVIDER, MODEL, limit=1)) == (second,)


async def test_texts_come_by_id(artifacts: EmbeddingArtifacts) -> None:
    ids = [each.credential_id for each in await artifacts.pending(PROVIDER, MODEL, limit=50)]

    assert ids == sorted(ids)


async def test_another_models_vectors_do_not_count(artifacts: EmbeddingArtifacts) -> None:
    (first,) = await artifacts.pending(PROVIDER, MODEL, limit=1)
    await artifacts.add(PROVIDER, "other", [(first, bag_of_words("other"))])
    await artifacts.add("other", MODEL, [(first, bag_of_words("other"))])

    assert await artifacts.pending(PROVIDER, MODEL, limit=1) == (first,)


async def test_adding_again_changes_nothing(artifacts: EmbeddingArtifacts) -> None:
    (first,) = await artifacts.pending(PROVIDER, MODEL, limit=1)
    for words in ("one", "another"):
        await artifacts.add(PROVIDER, MODEL, [(first, bag_of_words(words))])

    assert first not in await artifacts.pending(PROVIDER, MODEL, limit=1000)


async def test_adding_nothing_is_allowed(artifacts: EmbeddingArtifacts) -> None:
    before = await artifacts.count_pending(PROVIDER, MODEL)

    await artifacts.add(PROVIDER, MODEL, [])

    assert await artifacts.count_pending(PROVIDER, MODEL) == before


@pytest.mark.parametrize("vector", [[1.0], [math.nan, *[0.1] * 383], [0.0] * 384])
async def test_one_bad_vector_and_none_is_kept(artifacts: EmbeddingArtifacts, vector: list[float]) -> None:
    first, second = await artifacts.pending(PROVIDER, MODEL, limit=2)

    with pytest.raises(InvalidInput):
        await artifacts.add(PROVIDER, MODEL, [(first, bag_of_words("one")), (second, vector)])

    assert await artifacts.pending(PROVIDER, MODEL, limit=2) == (first, second)


async def test_the_text_is_the_one_its_hash_was_made_of(artifacts: EmbeddingArtifacts) -> None:
    for each in await artifacts.pending(PROVIDER, MODEL, limit=1000):
        assert each.text_hash == content_hash(each.text)


@pytest.fixture
async def changing(catalog: AsyncEngine) -> AsyncIterator[Change]:
    """Change one credential during the test."""
    columns = (CredentialRow.id, CredentialRow.description, CredentialRow.text_hash, CredentialRow.active)
    async with catalog.connect() as connection:
        before = (await connection.execute(select(*columns).limit(1))).one()
    statement = update(CredentialRow).where(CredentialRow.id == before.id)

    async def change(**values: Any) -> None:
        async with catalog.begin() as connection:
            await connection.execute(statement.values(values))

    yield change
    await change(description=before.description, text_hash=before.text_hash, active=before.active)


async def test_a_changed_text_gets_a_second_vector(catalog: AsyncEngine, changing: Change) -> None:
    artifacts = SqlEmbeddingArtifacts(catalog)
    embedded = await embed_catalog(artifacts, FakeEmbedder())
    await changing(description="Something else.", text_hash="b" * 64)

    assert await embed_catalog(artifacts, FakeEmbedder()) == 1
    async with catalog.connect() as connection:
        total = await connection.scalar(select(func.count()).select_from(EmbeddingArtifactRow))
    assert total == embedded + 1


async def test_withdrawn_credentials_are_not_embedded(catalog: AsyncEngine, changing: Change) -> None:
    artifacts = SqlEmbeddingArtifacts(catalog)
    before = await artifacts.count_pending(PROVIDER, MODEL)
    await changing(active=False)

    assert await artifacts.count_pending(PROVIDER, MODEL) == before - 1
