"""The steps of the catalogue's run: embedding what has no vector, and keeping the index beside Postgres equal to it.

Each may be repeated and goes on where it stopped: what is done is seen by what is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from temporalio import activity

from activities.embed_catalog import embed_catalog
from activities.index_catalog import CatalogIndex, IndexDiff, converge, fill, publish
from domain.errors import ExternalServiceError, NotFound
from domain.recommending.ports import Embedder, EmbeddingArtifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedInput:
    """`at_most` texts by each model."""

    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """How many vectors were made, and how many are still lacking."""

    done: int
    left: int


class IndexState(StrEnum):
    """`unusable`: it is not there, or somebody else's."""

    LIVE = "live"
    UNUSABLE = "unusable"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """How a live index differed from Postgres before it was mended."""

    state: IndexState
    drift: IndexDiff = field(default_factory=IndexDiff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    name: str


class CatalogEmbedding:
    """Every one of `embedders` embeds the whole catalogue. `index` None: none stands beside Postgres, to be kept."""

    def __init__(
        self, artifacts: EmbeddingArtifacts, embedders: Sequence[Embedder], index: CatalogIndex | None
    ) -> None:
        self._artifacts = artifacts
        self._embedders = embedders
        self._index = index

    @activity.defn
    async def embed_texts(self, wanted: EmbedInput) -> Embedded:
        """Whatever a provider says, nobody else makes its vectors: it is asked until it gives them."""
        done = left = 0
        failure: ExternalServiceError | None = None
        for embedder in self._embedders:
            try:
                done += await embed_catalog(self._artifacts, embedder, at_most=wanted.at_most)
            except ExternalServiceError as error:  # the next model's turn does not wait for it
                failure = error
            left += await self._artifacts.count_pending(embedder.provider, embedder.model)
        if failure:
            raise ExternalServiceError(failure.message, retry_after_s=failure.retry_after_s) from failure
        return Embedded(done=done, left=left)

    @activity.defn
    async def mend_index(self) -> Mended:
        if self._index is None:
            return Mended(state=IndexState.NOT_CONFIGURED)
        if not await self._index.writer.is_usable(at_least=0):
            return Mended(state=IndexState.UNUSABLE)
        return Mended(state=IndexState.LIVE, drift=await converge(self._index))

    @activity.defn
    async def begin_build(self) -> Build:
        return Build(name=await self._kept().writer.begin())

    @activity.defn
    async def fill_build(self, build: Build) -> IndexDiff:
        return await fill(self._kept(), build.name)

    @activity.defn
    async def publish_build(self, build: Build) -> IndexDiff:
        return await publish(self._kept(), build.name)

    def _kept(self) -> CatalogIndex:
        if self._index is None:
            raise NotFound("No index is configured: set WEAVIATE_URL")
        return self._index
