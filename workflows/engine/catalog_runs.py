"""Start the run that embeds the catalogue."""

from typing import Final

from workflows.catalog_embedding import CatalogEmbeddingInput, CatalogEmbeddingWorkflow
from workflows.engine import static_details
from workflows.engine.runs import TemporalRuns

WORKFLOW_ID: Final = "catalog-embedding"


class TemporalCatalogRuns(TemporalRuns):
    """The port `CatalogRuns`."""

    async def start(self) -> None:
        """Start the run, or signal the running one to repeat its work because the catalogue changed."""
        await self._ensure(
            CatalogEmbeddingWorkflow.run,
            CatalogEmbeddingInput(),
            id_=WORKFLOW_ID,
            summary="Embed the catalogue and bring its index up to date",
            details=static_details.CATALOG_EMBEDDING,
            signal="changed",
        )
