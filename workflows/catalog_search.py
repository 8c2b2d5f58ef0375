"""A search of the catalogue: the API has no model in memory, so it asks a worker that has."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.search_catalog import CatalogSearchInput, SearchCatalog
    from domain.recommending.ports import SearchResult
    from workflows.policies import activity_options, versioning


@workflow.defn(versioning_behavior=versioning("CatalogSearchWorkflow"))
class CatalogSearchWorkflow:
    """Id `catalog-search-{search_id}`, never used again; over within seconds. No signals or queries.

    It carries the id of what is searched for and the ids of what was found, not a word of either.
    """

    @workflow.run
    async def run(self, wanted: CatalogSearchInput) -> SearchResult:
        return await workflow.execute_activity_method(
            SearchCatalog.search_catalog, wanted, **activity_options("search_catalog", "Embed the query and search")
        )
