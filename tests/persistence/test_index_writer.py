"""The contract of every index writer: in memory and in Weaviate."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import pytest
from weaviate.classes.config import DataType, Property

from domain.errors import InvalidInput, NotFound
from domain.recommending.ports import CredentialIndexWriter, IndexEntry, SearchQuery
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_schema import PROPERTIES, VECTORS, alias_of
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.domain.builders import an_id
from tests.persistence.index_stores import PROVIDER, credential, discard, entry, towards
from tests.support.fake_search import InMemoryIndexWriter


@pytest.fixture
async def model(weaviate: Weaviate) -> AsyncIterator[str]:
    """A model name that is unique to the test, so that its collections are separate."""
    name = f"test-{uuid4()}"
    yield name
    await discard(weaviate, name)


@pytest.fixture
def memory() -> CredentialIndexWriter:
    return InMemoryIndexWriter()


@pytest.fixture
def in_weaviate(weaviate: Weaviate, model: str) -> CredentialIndexWriter:
    return WeaviateIndexWriter(weaviate, PROVIDER, model)


@pytest.fixture(params=["memory", "in_weaviate"])
def writer(request: pytest.FixtureRequest) -> CredentialIndexWriter:
    found: CredentialIndexWriter = request.getfixturevalue(request.param)
    return found


def entries(*names: str) -> list[IndexEntry]:
    return [entry(credential(name, 10 * number)) for number, name in enumerate(names)]


async def live(writer: CredentialIndexWriter, *names: str) -> None:
    build = await writer.begin()
    await writer.upsert(entries(*names), build)
    await writer.finish(build)


async def test_there_is_no_live_index_before_the_first_build_is_finished(writer: CredentialIndexWriter) -> None:
    await writer.begin()

    assert not await writer.is_usable(at_least=0)
    with pytest.raises(NotFound):
        await writer.entries()
    with pytest.raises(NotFound):
        await writer.upsert(entries("a"))


async def test_a_finished_build_is_the_live_index(writer: CredentialIndexWriter) -> None:
    await live(writer, "a", "b")

    assert await writer.entries() == {an_id("a"): an_id("a text"), an_id("b"): an_id("b text")}
    assert await writer.is_usable(at_least=2)
    assert not await writer.is_usable(at_least=3)


async def test_the_next_build_replaces_the_live_index(writer: CredentialIndexWriter) -> None:
    await live(writer, "a", "b")
    build = await writer.begin()
    await writer.upsert(entries("c"), build)

    before = set(await writer.entries())
    await writer.finish(build)

    assert (before, set(await writer.entries())) == ({an_id("a"), an_id("b")}, {an_id("c")})


async def test_finishing_a_build_deletes_unfinished_ones(writer: CredentialIndexWriter) -> None:
    forgotten = await writer.begin()

    await live(writer, "a")

    with pytest.raises(NotFound):
        await writer.upsert(entries("b"), forgotten)


async def test_an_entry_written_again_exists_once(writer: CredentialIndexWriter) -> None:
    await live(writer, "a")
    changed = entry(credential("a", 50, artifact_id=an_id("a changed")))

    assert await writer.upsert([changed, changed]) == ()

    assert await writer.entries() == {an_id("a"): an_id("a changed")}


async def test_deleting_a_missing_entry_is_allowed(writer: CredentialIndexWriter) -> None:
    await live(writer, "a", "b")

    await writer.delete([an_id("a"), an_id("never there")])

    assert set(await writer.entries()) == {an_id("b")}


async def test_many_entries_are_put_in_and_taken_out(writer: CredentialIndexWriter) -> None:
    names = [f"c{number}" for number in range(600)]
    await live(writer, *names)

    await writer.delete([an_id(name) for name in names[100:]])

    assert set(await writer.entries()) == {an_id(name) for name in names[:100]}


@pytest.mark.parametrize("vector", [[math.nan, *[0.1] * 383], [1.0], [0.0] * 384])
async def test_one_bad_vector_rejects_all_entries(writer: CredentialIndexWriter, vector: Sequence[float]) -> None:
    await live(writer, "a")

    with pytest.raises(InvalidInput):
        await writer.upsert([*entries("b"), entry(credential("c", vector=vector))])

    assert set(await writer.entries()) == {an_id("a")}


async def test_a_foreign_collection_is_not_usable_and_is_replaced(weaviate: Weaviate, model: str) -> None:
    writer, client = WeaviateIndexWriter(weaviate, PROVIDER, model), await weaviate.client()
    await client.collections.create(alias_of(PROVIDER, model), properties=[Property(name="x", data_type=DataType.TEXT)])

    usable = await writer.is_usable(at_least=0)
    await live(writer, "a")

    assert not usable
    assert await writer.is_usable(at_least=1)


async def test_an_entry_that_weaviate_rejects_is_reported_and_the_others_are_stored(
    weaviate: Weaviate, model: str
) -> None:
    writer = WeaviateIndexWriter(weaviate, PROVIDER, model)
    client, build = await weaviate.client(), f"{alias_of(PROVIDER, model)}_other"
    dates = Property(name="description", data_type=DataType.DATE)  # most texts are not dates
    others = [each for each in PROPERTIES if each.name != dates.name]
    await client.collections.create(build, properties=[*others, dates], vector_config=VECTORS)
    a, b = entries("a", "b")

    one = await writer.upsert([replace(a, description="2026-01-01T00:00:00Z"), b], build)
    all_of_them = await writer.upsert([b], build)

    assert [each.credential_id for each in (*one, *all_of_them)] == [an_id("b"), an_id("b")]
    assert (await client.collections.use(build).aggregate.over_all(total_count=True)).total_count == 1


async def test_no_search_fails_or_misses_anything_while_builds_go_live(weaviate: Weaviate, model: str) -> None:
    writer, index = WeaviateIndexWriter(weaviate, PROVIDER, model), WeaviateIndex(weaviate, PROVIDER, model)
    await live(writer, "a", "b")
    found: list[int] = []

    async def search_on() -> None:
        while True:
            hits = (await index.search([SearchQuery(text="a", vector=towards(0))], limit=5)).hits
            found.append(len(hits[0]))

    searching = asyncio.create_task(search_on())
    for _ in range(5):
        await live(writer, "a", "b")
    searching.cancel()
    with suppress(asyncio.CancelledError):
        await searching

    assert set(found) == {2}
