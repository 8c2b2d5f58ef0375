"""The catalogue's run: every text gets a vector, and the index beside Postgres becomes equal to it."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.catalog_embedding import Build, CatalogEmbedding, EmbedInput, IndexState
    from activities.index_catalog import IndexDiff
    from workflows.policies import activity_options, versioning

BATCH = 512
"""Texts an activity embeds: some ten seconds' work, and two dozen events for 10,000 texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEmbeddingInput:
    """`rebuild`: a new index even where the live one can be mended."""

    rebuild: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEmbedded:
    """How many texts were embedded, how the index differed when it was looked at first, and what it holds now."""

    embedded: int
    drift: IndexDiff
    indexed: int


@workflow.defn(versioning_behavior=versioning("CatalogEmbeddingWorkflow"))
class CatalogEmbeddingWorkflow:
    """A run of minutes over the whole catalogue.

    Id `catalog-embedding` when something changed, conflict USE_EXISTING; `catalog-embedding-weekly-{time}` by the
    Schedule. Signal `changed`: once more from the beginning, because the catalogue is not what it was. No queries.
    """

    @workflow.init
    def __init__(self, wanted: CatalogEmbeddingInput) -> None:
        self._wanted = wanted
        self._changed = False
        self._embedded = 0

    @workflow.run
    async def run(self, wanted: CatalogEmbeddingInput) -> CatalogEmbedded:
        result = await self._round(rebuild=wanted.rebuild)
        while self._changed:
            result = await self._round(rebuild=False)
        self._show("Done")
        return result

    @workflow.signal
    def changed(self) -> None:
        self._changed = True

    async def _round(self, *, rebuild: bool) -> CatalogEmbedded:
        self._changed = False  # before anything is read: a signal that comes after it must be heard
        await self._embed()
        self._show("Comparing the index with Postgres")
        mended = await workflow.execute_activity_method(
            CatalogEmbedding.mend_index, **activity_options("mend_index", "Bring the index to what Postgres holds")
        )
        indexed = mended.drift.indexed
        if mended.state is IndexState.UNUSABLE or (rebuild and mended.state is IndexState.LIVE):
            indexed = await self._rebuild()
        return CatalogEmbedded(embedded=self._embedded, drift=mended.drift, indexed=indexed)

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
        """A build that vanishes, with the server's data or because another run was faster, is begun anew."""
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
            CatalogEmbedding.publish_build, build, **activity_options("publish_build", f"Put {build.name} live")
        )

    def _show(self, state: str) -> None:
        again = "it starts once more after this round" if self._changed else "signal `changed` starts it once more"
        workflow.set_current_details(f"- {state}\n- Texts embedded: {self._embedded:,}\n\nPress: nothing; {again}.")
