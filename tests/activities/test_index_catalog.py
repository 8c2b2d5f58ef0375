"""The index becomes equal to Postgres, despite concurrent changes and interruptions."""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from activities.embed_catalog import embed_catalog
from activities.index_catalog import CatalogIndex, IndexDiff, converge, fill, publish, rebuild, sync_index
from domain.errors import ExternalServiceError, NotFound
from domain.recommending.ports import CatalogText, IndexEntry, RejectedEntry
from tests.domain.builders import an_id
from tests.support.fake_search import FakeEmbedder, InMemoryEmbeddingArtifacts, InMemoryIndexWriter


def a_text(number: int, words: str = "") -> CatalogText:
    text = words or f"Text {number}"
    return CatalogText(credential_id=an_id(f"c{number}"), text=text, text_hash=f"{text:0>64}")


async def a_catalog(number: int = 3, writer: InMemoryIndexWriter | None = None) -> CatalogIndex:
    """A catalogue with all vectors and an empty index."""
    artifacts = InMemoryEmbeddingArtifacts([a_text(each) for each in range(number)])
    await embed_catalog(artifacts, FakeEmbedder())
    return CatalogIndex(
        artifacts=artifacts,
        writer=writer or InMemoryIndexWriter(),
        provider=FakeEmbedder.provider,
        model=FakeEmbedder.model,
    )


async def change(catalog: CatalogIndex, number: int, words: str) -> None:
    """Change the text of a credential and embed it, as an import does."""
    artifacts = catalog.artifacts
    assert isinstance(artifacts, InMemoryEmbeddingArtifacts)
    artifacts.texts = [each for each in artifacts.texts if each.credential_id != an_id(f"c{number}")]
    artifacts.texts.append(a_text(number, words))
    await embed_catalog(artifacts, FakeEmbedder())


def withdraw(catalog: CatalogIndex, number: int) -> None:
    artifacts = catalog.artifacts
    assert isinstance(artifacts, InMemoryEmbeddingArtifacts)
    artifacts.texts = [each for each in artifacts.texts if each.credential_id != an_id(f"c{number}")]


async def is_equal(catalog: CatalogIndex) -> bool:
    return await catalog.writer.entries() == await catalog.artifacts.searchable(catalog.provider, catalog.model)


class ChangingWriter(InMemoryIndexWriter):
    """A writer that changes the catalogue at the moment a build is published."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    async def finish(self, build: str) -> None:
        self.meanwhile()
        await super().finish(build)


async def test_a_rebuilt_index_equals_the_catalogue() -> None:
    catalog = await a_catalog(600)

    drift = await rebuild(catalog)

    assert drift.indexed == 600
    assert await is_equal(catalog)


async def test_an_equal_index_is_left_alone() -> None:
    catalog = await a_catalog()
    await rebuild(catalog)

    assert await sync_index(catalog) == IndexDiff(indexed=3)


async def test_differences_are_counted_and_synchronized() -> None:
    catalog = await a_catalog(4)
    await rebuild(catalog)
    await change(catalog, 1, "Other")
    await change(catalog, 7, "New")
    withdraw(catalog, 2)

    assert await converge(catalog) == IndexDiff(missing=1, stale=1, extra=1, indexed=4)
    assert await is_equal(catalog)


async def test_a_build_is_not_searched_before_it_is_finished() -> None:
    catalog = await a_catalog()
    await rebuild(catalog)
    await change(catalog, 0, "Other")

    build = await catalog.writer.begin()
    await fill(catalog, build)

    assert not await is_equal(catalog)
    await publish(catalog, build)
    assert await is_equal(catalog)


async def test_a_build_continues_where_it_stopped() -> None:
    catalog = await a_catalog(5)
    build = await catalog.writer.begin()
    first, *_ = (await catalog.artifacts.searchable(catalog.provider, catalog.model)).values()
    await catalog.writer.upsert(await catalog.artifacts.entries([first]), build)
    told: list[tuple[int, int]] = []

    drift = await fill(catalog, build, on_progress=lambda *numbers: told.append(numbers))

    assert drift.missing == 4
    assert told == [(5, 5)]


async def test_a_credential_withdrawn_during_publication_is_not_in_the_index() -> None:
    writer = ChangingWriter()
    catalog = await a_catalog(writer=writer)
    writer.meanwhile = lambda: withdraw(catalog, 1)

    await rebuild(catalog)

    assert an_id("c1") not in await writer.entries()
    assert await is_equal(catalog)


async def test_a_refused_entry_is_counted_and_the_others_are_kept() -> None:
    writer = InMemoryIndexWriter()
    writer.refuses = {an_id("c1")}
    catalog = await a_catalog(100, writer)

    assert (await rebuild(catalog)).refused == 1
    assert len(await writer.entries()) == 99


async def test_an_index_that_refuses_too_much_does_not_go_live() -> None:
    writer = InMemoryIndexWriter()
    catalog = await a_catalog(10, writer)
    await rebuild(catalog)
    writer.refuses = {an_id("c1")}

    with pytest.raises(ExternalServiceError):
        await rebuild(catalog)

    assert await is_equal(catalog)


async def test_a_build_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        await fill(await a_catalog(), "no such build")


async def test_without_a_live_index_synchronization_fails() -> None:
    with pytest.raises(NotFound):
        await sync_index(await a_catalog())


async def test_a_complete_index_may_lack_only_a_few_entries() -> None:
    catalog = await a_catalog(100)
    await rebuild(catalog)
    ids = [an_id(f"c{number}") for number in range(6)]

    await catalog.writer.delete(ids[:5])
    forgiven = await catalog.is_whole()
    await catalog.writer.delete(ids)

    assert (forgiven, await catalog.is_whole()) == (True, False)


class InterruptedWriter(InMemoryIndexWriter):
    """A writer that fails once, after that number of entries."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    async def upsert(self, entries: Sequence[IndexEntry], build: str | None = None) -> tuple[RejectedEntry, ...]:
        if 0 <= self.left < len(entries):
            self.left = -1
            raise ExternalServiceError("Weaviate failed")
        self.left -= len(entries)
        return await super().upsert(entries, build)


async def test_after_a_failure_only_the_remaining_entries_are_added() -> None:
    writer = InterruptedWriter(after=256)
    catalog = await a_catalog(400, writer)
    build = await writer.begin()
    with pytest.raises(ExternalServiceError):
        await fill(catalog, build)

    drift = await fill(catalog, build)

    assert (drift.missing, drift.indexed) == (144, 400)


async def test_an_empty_catalogue_has_an_empty_index() -> None:
    catalog = await a_catalog(0)

    await rebuild(catalog)

    found: dict[UUID, UUID] = await catalog.writer.entries()
    assert found == {}
    assert await catalog.is_whole()
