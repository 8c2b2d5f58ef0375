"""What every index of credentials promises: the in-memory one and the one in PostgreSQL."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import InvalidInput, StorageUnavailable
from domain.ports import CredentialIndex, SearchQuery
from domain.recommendations import SearchHit
from persistence.engine import create_engine
from persistence.tables import CredentialRow, EmbeddingArtifactRow
from persistence.vectors.pgvector import PgVectorIndex
from tests.databases import Databases, settings_of
from tests.domain.builders import CLEANING, SQL, an_id
from tests.fakes import IndexedCredential, InMemoryCredentialIndex

PROVIDER, MODEL = "sentence-transformers", "test-model"

Index: TypeAlias = Callable[[Sequence[IndexedCredential]], Awaitable[CredentialIndex]]


def towards(angle: float) -> list[float]:
    """A unit vector so many degrees away from `towards(0)`."""
    return [math.cos(math.radians(angle)), math.sin(math.radians(angle)), *[0.0] * 382]


def credential(name: str, angle: float = 0, words: str = "", **changes: Any) -> IndexedCredential:
    valid = IndexedCredential(
        id=an_id(name), artifact_id=an_id(f"{name} text"), text=words or name, skills=(SQL,), vector=towards(angle)
    )
    return replace(valid, **changes)


def a_query(words: str = "nothing alike", angle: float = 0, skills: tuple[str, ...] = ()) -> SearchQuery:
    return SearchQuery(text=words, vector=towards(angle), skills=skills)


@pytest.fixture(scope="module")
async def database(databases: Databases, worker: str) -> AsyncIterator[AsyncEngine]:
    """For tests that commit, as the index takes connections of its own."""
    with databases.new(f"{worker}_index") as url:
        engine = create_engine(settings_of(url))
        yield engine
        await engine.dispose()


@pytest.fixture
async def catalog(database: AsyncEngine) -> AsyncEngine:
    """A database with an empty catalogue."""
    await empty(database)
    return database


async def empty(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(delete(EmbeddingArtifactRow))
        await connection.execute(delete(CredentialRow))


async def store(engine: AsyncEngine, credentials: Sequence[IndexedCredential]) -> CredentialIndex:
    async with engine.begin() as connection:
        await connection.execute(insert(CredentialRow), [_credential_row(each) for each in credentials])
        vectors = [_artifact_row(each) for each in credentials if each.vector is not None]
        if vectors:
            await connection.execute(insert(EmbeddingArtifactRow), vectors)
    return PgVectorIndex(engine, PROVIDER, MODEL)


def _credential_row(each: IndexedCredential) -> dict[str, Any]:
    return {
        "id": each.id,
        "key": str(each.id),
        "title": each.text,
        "description": "",
        "skills": list(each.skills),
        "level": "foundation",
        "hours": 6,
        "provider": "Demo Academy North",
        "source_uri": "https://catalog.example.org",
        "version": "0" * 64,
        "text_hash": "a" * 64,
        "active": each.active,
    }


def _artifact_row(each: IndexedCredential) -> dict[str, Any]:
    return {
        "id": each.artifact_id,
        "entity_type": "credential",
        "entity_id": each.id,
        "provider": PROVIDER,
        "model": MODEL,
        "text_hash": "a" * 64,
        "vector": each.vector,
    }


async def in_memory(credentials: Sequence[IndexedCredential]) -> CredentialIndex:
    return InMemoryCredentialIndex(credentials)


@pytest.fixture(params=["memory", "postgres"])
def index(request: pytest.FixtureRequest, catalog: AsyncEngine) -> Index:
    """Makes an index of the credentials given."""
    if request.param == "memory":
        return in_memory
    return lambda credentials: store(catalog, credentials)


def names(hits: Sequence[SearchHit], credentials: Sequence[IndexedCredential]) -> list[str]:
    texts: dict[UUID, str] = {each.id: each.text for each in credentials}
    return [texts[hit.credential_id] for hit in hits]


async def found(
    index: Index, credentials: Sequence[IndexedCredential], query: SearchQuery, limit: int = 10
) -> list[str]:
    (hits,) = await (await index(credentials)).search([query], limit=limit)
    return names(hits, credentials)


async def test_the_nearest_comes_first(index: Index) -> None:
    offered = [credential("far", 80), credential("near", 10), credential("between", 40)]

    assert await found(index, offered, a_query()) == ["near", "between", "far"]


async def test_a_hit_tells_the_cosine_and_the_artifact(index: Index) -> None:
    (hits,) = await (await index([credential("one", 60)])).search([a_query()], limit=1)

    assert hits[0].similarity == pytest.approx(0.5, abs=1e-5)
    assert hits[0].artifact_id == an_id("one text")


async def test_shared_words_decide_between_alike_vectors(index: Index) -> None:
    offered = [credential("window functions", 30), credential("inner joins", 32), credential("pivot charts", 90)]

    assert (await found(index, offered, a_query("tables and joins")))[0] == "inner joins"


async def test_meaning_outweighs_a_shared_word(index: Index) -> None:
    offered = [credential("window functions", 0), credential("joins for carpenters", 90)]

    assert await found(index, offered, a_query("tables and joins")) == ["window functions", "joins for carpenters"]


async def test_at_most_limit_are_found(index: Index) -> None:
    assert len(await found(index, [credential(f"c{i}", i) for i in range(9)], a_query(), limit=4)) == 4


async def test_each_query_has_its_own_hits_in_order(index: Index) -> None:
    offered = [credential("north", 0), credential("east", 90)]

    hits = await (await index(offered)).search([a_query(angle=85), a_query(angle=5)], limit=1)

    assert [names(each, offered) for each in hits] == [["east"], ["north"]]


async def test_no_query_finds_nothing(index: Index) -> None:
    assert await (await index([credential("one")])).search([], limit=3) == []


async def test_only_credentials_of_the_skills_are_found(index: Index) -> None:
    offered = [credential("a", 0, skills=(CLEANING,)), credential("b", 50, skills=(SQL, CLEANING)), credential("c", 20)]

    assert await found(index, offered, a_query(skills=(SQL, "Other"))) == ["c", "b"]


async def test_skills_filter_each_query_for_itself(index: Index) -> None:
    offered = [credential("a", 0, skills=(CLEANING,)), credential("b", 50)]

    hits = await (await index(offered)).search([a_query(skills=(SQL,)), a_query()], limit=5)

    assert [names(each, offered) for each in hits] == [["b"], ["a", "b"]]


async def test_withdrawn_credentials_are_not_found(index: Index) -> None:
    assert await found(index, [credential("a", active=False), credential("b", 50)], a_query("a")) == ["b"]


async def test_a_credential_without_a_vector_is_not_found(index: Index) -> None:
    assert await found(index, [credential("a", vector=None), credential("b", 50)], a_query("a")) == ["b"]


async def test_an_empty_catalogue_has_no_hits(index: Index) -> None:
    offered = [credential("a", active=False)]

    assert await found(index, offered, a_query("a")) == []


async def test_ties_break_by_id(index: Index) -> None:
    offered = [credential(f"c{i}", 20) for i in range(6)]

    (hits,) = await (await index(offered)).search([a_query()], limit=6)
    assert [hit.credential_id for hit in hits] == sorted(each.id for each in offered)


@pytest.mark.parametrize("words", ["", "the of and", "a & b | !c <-> ( ' : *", "joins\\' \" %", "x" * 5000])
async def test_any_words_are_only_words(index: Index, words: str) -> None:
    assert await found(index, [credential("one")], a_query(words)) == ["one"]


@pytest.mark.parametrize(
    "vector", [[math.nan, *[0.1] * 383], [math.inf, *[0.1] * 383], [1.0], [1.0, *[0.0] * 384], [0.0] * 384]
)
async def test_what_is_no_vector_is_refused(index: Index, vector: list[float]) -> None:
    searchable = await index([credential("one")])

    with pytest.raises(InvalidInput):
        await searchable.search([replace(a_query(), vector=vector)], limit=1)


async def test_a_limit_below_one_is_refused(index: Index) -> None:
    searchable = await index([credential("one")])

    with pytest.raises(InvalidInput):
        await searchable.search([a_query()], limit=0)


@pytest.mark.parametrize(
    "change", [{"text_hash": "b" * 64}, {"model": "other"}, {"provider": "other"}, {"entity_type": "question"}]
)
async def test_vectors_of_other_texts_and_models_do_not_count(catalog: AsyncEngine, change: dict[str, str]) -> None:
    pgvector = await store(catalog, [credential("a"), credential("b", 50)])
    async with catalog.begin() as connection:
        of_a = EmbeddingArtifactRow.entity_id == an_id("a")
        await connection.execute(update(EmbeddingArtifactRow).where(of_a).values(change))

    (hits,) = await pgvector.search([a_query("a")], limit=5)

    assert [hit.credential_id for hit in hits] == [an_id("b")]


async def test_the_vector_index_goes_on_until_enough_pass_the_filter(clean_database: str) -> None:
    wanted = [credential(f"wanted {i}", 40 + i, skills=(CLEANING,)) for i in range(5)]
    engine = create_engine(settings_of(clean_database))
    await empty(engine)
    pgvector = await store(engine, [credential(f"other {i}", i / 10) for i in range(300)] + wanted)
    async with engine.begin() as connection:
        # The planner would sort so few rows; here it must walk the index, whose first 40 pass no filter.
        for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
            await connection.execute(text(f"ALTER DATABASE {engine.url.database} SET {setting} = off"))
    await engine.dispose()

    (hits,) = await pgvector.search([a_query(skills=(CLEANING,))], limit=5)

    await engine.dispose()
    assert [hit.credential_id for hit in hits] == [each.id for each in wanted]


async def test_a_database_that_is_away_is_said_to_be_away(catalog: AsyncEngine) -> None:
    away = create_engine(settings_of(catalog.url.set(port=1).render_as_string(hide_password=False)))

    with pytest.raises(StorageUnavailable):
        await PgVectorIndex(away, PROVIDER, MODEL).search([a_query()], limit=1)
