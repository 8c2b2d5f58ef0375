"""Keeps an index beside Postgres equal to it: by rebuilding it, or by mending what differs."""

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
"""How often what changed meanwhile is caught up with; each round takes a fraction of the one before."""
WHOLE_SHARE: Final = 0.95
"""An index with fewer of its entries is not whole; a change that is on its way does not make it so."""

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
"""Told how many entries are in and how many there are to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDiff:
    """How an index differed from Postgres: entries it lacked, held of an older text, or held too much; as it is mended.

    `refused` counts the entries that the index did not take; `indexed` those it holds in the end.
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
    """What a provider's model made, in Postgres and in the index beside it."""

    artifacts: EmbeddingArtifacts
    writer: CredentialIndexWriter
    provider: str
    model: str

    async def is_whole(self) -> bool:
        """Whether it can be searched instead of Postgres: it is there, of our schema and nearly complete."""
        expected = await self.artifacts.count_searchable(self.provider, self.model)
        return await self.writer.is_usable(math.ceil(expected * WHOLE_SHARE))


async def mend(catalog: CatalogIndex, build: str | None = None, on_progress: Progress | None = None) -> IndexDiff:
    """Brings the live index, or a build, to what Postgres holds now; equal ones cost two reads.

    Raises:
        NotFound: there is no such build, or no live index.
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
    """How many were refused. What is no longer current is left out: the next round sees it gone or anew."""
    return len(await catalog.writer.upsert(await catalog.artifacts.entries(artifact_ids), build))


async def converge(catalog: CatalogIndex, build: str | None = None, on_progress: Progress | None = None) -> IndexDiff:
    """Mends until nothing differs any more, and returns how it differed at first."""
    first = drift = await mend(catalog, build, on_progress)
    for _ in range(ROUNDS):
        if drift.total == drift.refused:
            break
        drift = await mend(catalog, build, on_progress)
    return replace(first, refused=drift.refused, indexed=drift.indexed)


async def publish(catalog: CatalogIndex, build: str) -> IndexDiff:
    """Makes a build that was filled the live index, then catches up with what changed meanwhile: nothing is lost.

    Raises:
        NotFound: the build is gone.
    """
    await catalog.writer.finish(build)
    drift = await converge(catalog)
    log.info("index_rebuilt", entries=drift.indexed, refused=drift.refused)
    return drift


async def rebuild(catalog: CatalogIndex, on_progress: Progress | None = None) -> IndexDiff:
    """A new index from Postgres, in one go."""
    build = await catalog.writer.begin()
    await fill(catalog, build, on_progress)
    return await publish(catalog, build)


async def fill(catalog: CatalogIndex, build: str, on_progress: Progress | None = None) -> IndexDiff:
    """Puts all there is into a build; repeated, it goes on where it stopped.

    Raises:
        ExternalServiceError: the index took too little of it for a live one.
        NotFound: the build is gone.
    """
    drift = await converge(catalog, build, on_progress)
    if drift.refused > (1 - WHOLE_SHARE) * (drift.indexed + drift.refused):
        raise ExternalServiceError("The index refuses its entries: see Weaviate's log")
    return drift
