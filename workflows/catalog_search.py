"""The workflow of a catalogue search. It runs on a worker because the API has no model in memory."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.search_catalog import CatalogSearchInput, SearchCatalog
    from domain.recommending.ports import SearchResult
    from workflows.policies import activity_options, versioning


@workflow.defn(versioning_behavior=versioning("CatalogSearchWorkflow"))
class CatalogSearchWorkflow:
    """Embeds a stored query and searches the catalogue. Its history holds only ids, no texts.

    Id: `catalog-search-{search_id}`, with the default policies; each search has a new id.
    Signals, queries, updates: none.
    End: within two seconds, the execution timeout.
    """

    @workflow.run
    async def run(self, wanted: CatalogSearchInput) -> SearchResult:
        return await workflow.execute_activity_method(
            SearchCatalog.search_catalog, wanted, **activity_options("search_catalog", "Embed the query and search")
        )
