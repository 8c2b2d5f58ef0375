"""The workflow that embeds the catalogue's texts and synchronizes the external index with Postgres."""

from dataclasses import dataclass
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.catalog_embedding import Build, CatalogEmbedding, EmbedInput, IndexState
    from activities.index_catalog import IndexDiff
    from workflows.policies import activity_options, versioning

BATCH = 512
"""Texts per activity. One activity takes about ten seconds; 10,000 texts need 20 activities."""

ROUNDS_PER_RUN: Final = 50
"""A run continues as new after this number of rounds, so that no history grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEmbeddingInput:
    """`rebuild`: build a new index even if the live one could be synchronized."""

    rebuild: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEmbedded:
    """The number of texts that the last run embedded, the difference between index and Postgres, and the index's size.

    The difference is that before the last round, the size that after it.
    """

    embedded: int
    drift: IndexDiff
    indexed: int


@workflow.defn(versioning_behavior=versioning("CatalogEmbeddingWorkflow"))
class CatalogEmbeddingWorkflow:
    """Embeds new texts, then synchronizes or rebuilds the index. Takes minutes.

    Id: `catalog-embedding` after a change of the catalogue, with reuse policy ALLOW_DUPLICATE and conflict policy
    USE_EXISTING; `catalog-embedding-weekly-{time}` if the Schedule starts it.
    Signals: `changed` repeats the round after the current one, because the catalogue changed.
    Queries, updates: none.
    End: when a round finishes without a signal during it. After ROUNDS_PER_RUN rounds, a run continues as new.
    """

    @workflow.init
    def __init__(self, wanted: CatalogEmbeddingInput) -> None:
        self._wanted = wanted
        self._changed = False
        self._embedded = 0

    @workflow.run
    async def run(self, wanted: CatalogEmbeddingInput) -> CatalogEmbedded:
        result = await self._round(rebuild=wanted.rebuild)
        rounds = 1
        while self._changed:
            # Older builds do not continue as new. Runs with fewer rounds do not record the patch.
            if rounds >= ROUNDS_PER_RUN and workflow.patched("continue-as-new-after-many-rounds"):
                workflow.continue_as_new(CatalogEmbeddingInput())
            result = await self._round(rebuild=False)
            rounds += 1
        self._show("Done")
        return result

    @workflow.signal
    def changed(self) -> None:
        self._changed = True

    async def _round(self, *, rebuild: bool) -> CatalogEmbedded:
        self._changed = False  # reset before the first read, so that a later signal starts another round
        await self._embed()
        self._show("Comparing the index with Postgres")
        synced = await workflow.execute_activity_method(
            CatalogEmbedding.mend_index, **activity_options("mend_index", "Synchronize the index with Postgres")
        )
        indexed = synced.drift.indexed
        if synced.state is IndexState.UNUSABLE or (rebuild and synced.state is IndexState.LIVE):
            indexed = await self._rebuild()
        return CatalogEmbedded(embedded=self._embedded, drift=synced.drift, indexed=indexed)

    async def _embed(self) -> None:
        left = 1
        while left:
            embedded = await workflow.execute_activity_method(
                CatalogEmbedding.embed_texts,
                EmbedInput(at_most=BATCH),
                **activity_options("embed_texts", f"Embed the next {BATCH} texts"),
            )
            self._embedded += embedded.done
            left = embedded.left
            self._show(f"Embedded {self._embedded:,} texts, {left:,} left")

    async def _rebuild(self) -> int:
        """Build a new index. Start over if the build is gone: the server lost data, or another run replaced it."""
        while True:
            self._show("Rebuilding the index")
            build = await workflow.execute_activity_method(
                CatalogEmbedding.begin_build, **activity_options("begin_build", "Start an empty index")
            )
            try:
                return (await self._filled(build)).indexed
            except ActivityError as error:
                if not (isinstance(error.cause, ApplicationError) and error.cause.type == "NotFound"):
                    raise

    async def _filled(self, build: Build) -> IndexDiff:
        filled = await workflow.execute_activity_method(
            CatalogEmbedding.fill_build, build, **activity_options("fill_build", f"Fill {build.name}")
        )
        self._show(f"Filled with {filled.indexed:,} entries")
        return await workflow.execute_activity_method(
            CatalogEmbedding.publish_build,
            build,
            **activity_options("publish_build", f"Switch searches to {build.name}"),
        )

    def _show(self, state: str) -> None:
        more = "Another round follows." if self._changed else "Send `changed` to run another round after this one."
        workflow.set_current_details(f"- {state}\n- Texts embedded: {self._embedded:,}\n\nAction: none. {more}")
