"""Synchronize a vector index with Postgres: rebuild it, or correct the entries that differ."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog

from domain.errors import ExternalServiceError
from domain.recommending.ports import CredentialIndexWriter, EmbeddingArtifacts

BATCH: Final = 256
ROUNDS: Final = 5
"""The most passes to apply changes made meanwhile; each pass takes a fraction of the time of the one before."""
WHOLE_SHARE: Final = 0.95
"""The share of its entries that an index needs to be complete. The margin covers changes that are not indexed yet."""

log = structlog.get_logger(__name__)

OnProgress = Callable[[int, int], None]
"""A callback with the number of indexed entries and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDiff:
    """How an index differed from Postgres before a synchronization: missing entries, older texts, extra entries.

    `refused` counts the entries that the index rejected, `indexed` those that it contains afterwards.
    """

    missing: int = 0
    stale: int = 0
    extra: int = 0
    refused: int = 0
    indexed: int = 0

    @property
    def total(self) -> int:
        return self.missing + self.stale + self.extra


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogIndex:
    """The vectors of one provider's model, in Postgres and in the index."""

    artifacts: EmbeddingArtifacts
    writer: CredentialIndexWriter
    provider: str
    model: str

    async def is_whole(self) -> bool:
        """Whether the index exists, has the right schema and is nearly complete, so that it can be searched."""
        expected = await self.artifacts.count_searchable(self.provider, self.model)
        return await self.writer.is_usable(math.ceil(expected * WHOLE_SHARE))


async def sync_index(
    catalog: CatalogIndex, build: str | None = None, on_progress: OnProgress | None = None
) -> IndexDiff:
    """Make the live index, or a build, equal to Postgres; without a difference this takes two reads.

    Raises:
        NotFound: the build or the live index does not exist.
    """
    wanted = await catalog.artifacts.searchable(catalog.provider, catalog.model)
    held = await catalog.writer.entries(build)
    lacking = sorted(id_ for id_, artifact in wanted.items() if held.get(id_) != artifact)
    extra = sorted(held.keys() - wanted.keys())
    if extra:
        await catalog.writer.delete(extra, build)
    refused = 0
    for start in range(0, len(lacking), BATCH):
        batch = lacking[start : start + BATCH]
        refused += await _put(catalog, [wanted[id_] for id_ in batch], build)
        if on_progress:
            on_progress(len(wanted) - len(lacking) + start + len(batch), len(wanted))
    missing = sum(id_ not in held for id_ in lacking)
    stale = len(lacking) - missing
    return IndexDiff(missing=missing, stale=stale, extra=len(extra), refused=refused, indexed=len(wanted) - refused)


async def _put(catalog: CatalogIndex, artifact_ids: Sequence[UUID], build: str | None) -> int:
    """Upsert the entries and return how many were rejected. Outdated ones are left to the next pass."""
    return len(await catalog.writer.upsert(await catalog.artifacts.entries(artifact_ids), build))


async def converge(catalog: CatalogIndex, build: str | None = None, on_progress: OnProgress | None = None) -> IndexDiff:
    """Synchronize until nothing differs, in at most `ROUNDS` more passes; return the first difference."""
    first = diff = await sync_index(catalog, build, on_progress)
    for _ in range(ROUNDS):
        if diff.total == diff.refused:
            break
        diff = await sync_index(catalog, build, on_progress)
    return replace(first, refused=diff.refused, indexed=diff.indexed)


async def publish(catalog: CatalogIndex, build: str) -> IndexDiff:
    """Make a filled build the live index, then apply the changes made meanwhile.

    Raises:
        NotFound: the build does not exist any more.
    """
    await catalog.writer.finish(build)
    diff = await converge(catalog)
    log.info("index_rebuilt", entries=diff.indexed, refused=diff.refused)
    return diff


async def rebuild(catalog: CatalogIndex, on_progress: OnProgress | None = None) -> IndexDiff:
    """Build and publish a new index from Postgres."""
    build = await catalog.writer.begin()
    await fill(catalog, build, on_progress)
    return await publish(catalog, build)


async def fill(catalog: CatalogIndex, build: str, on_progress: OnProgress | None = None) -> IndexDiff:
    """Put all entries into a build; a repeated call continues where the last one stopped.

    Raises:
        ExternalServiceError: the index rejected too many entries to become the live one.
        NotFound: the build does not exist any more.
    """
    diff = await converge(catalog, build, on_progress)
    if diff.refused > (1 - WHOLE_SHARE) * (diff.indexed + diff.refused):
        raise ExternalServiceError("The index rejects too many entries: see Weaviate's log")
    return diff
