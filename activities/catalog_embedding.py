"""The steps of the catalogue workflow: embed texts without a vector and synchronize the vector index with Postgres.

Each step is idempotent. A repeated step continues where the last attempt stopped, because it reads the stored state.
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
    """`at_most` is the number of texts that each model embeds in this step."""

    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """How many vectors were created, and how many are still missing."""

    done: int
    left: int


class IndexState(StrEnum):
    """`unusable`: the index does not exist or has another schema."""

    LIVE = "live"
    UNUSABLE = "unusable"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSync:
    """How a live index differed from Postgres before it was synchronized."""

    state: IndexState
    drift: IndexDiff = field(default_factory=IndexDiff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    name: str


class CatalogEmbedding:
    """Each of `embedders` embeds the whole catalogue. With `index` None, Postgres alone is searched."""

    def __init__(
        self, artifacts: EmbeddingArtifacts, embedders: Sequence[Embedder], index: CatalogIndex | None
    ) -> None:
        self._artifacts = artifacts
        self._embedders = embedders
        self._index = index

    @activity.defn
    async def embed_texts(self, wanted: EmbedInput) -> Embedded:
        """Embed with every provider; a failure of one does not stop the others.

        There is no fallback, because only a provider itself can create its vectors.

        Raises:
            ExternalServiceError: a provider failed; always retryable.
        """
        done = left = 0
        failure: ExternalServiceError | None = None
        for embedder in self._embedders:
            try:
                done += await embed_catalog(self._artifacts, embedder, at_most=wanted.at_most)
            except ExternalServiceError as error:  # raised after the other models are done
                failure = error
            left += await self._artifacts.count_pending(embedder.provider, embedder.model)
        if failure:
            raise ExternalServiceError(failure.message, retry_after_s=failure.retry_after_s) from failure
        return Embedded(done=done, left=left)

    @activity.defn
    async def mend_index(self) -> IndexSync:
        if self._index is None:
            return IndexSync(state=IndexState.NOT_CONFIGURED)
        if not await self._index.writer.is_usable(at_least=0):
            return IndexSync(state=IndexState.UNUSABLE)
        return IndexSync(state=IndexState.LIVE, drift=await converge(self._index))

    @activity.defn
    async def begin_build(self) -> Build:
        return Build(name=await self._configured().writer.begin())

    @activity.defn
    async def fill_build(self, build: Build) -> IndexDiff:
        return await fill(self._configured(), build.name)

    @activity.defn
    async def publish_build(self, build: Build) -> IndexDiff:
        return await publish(self._configured(), build.name)

    def _configured(self) -> CatalogIndex:
        if self._index is None:
            raise NotFound("No index is configured: set WEAVIATE_URL")
        return self._index
