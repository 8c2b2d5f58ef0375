"""Two changed versions of a workflow: one unconditional, one behind `workflow.patched`."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.search_catalog import CatalogSearchInput, SearchCatalog
    from domain.recommending.ports import SearchResult
    from workflows.policies import activity_options


@workflow.defn(name="CatalogSearchWorkflow")
class AtOnce:
    """Waits before the search, also in runs that the old code started."""

    @workflow.run
    async def run(self, wanted: CatalogSearchInput) -> SearchResult:
        await workflow.sleep(timedelta(seconds=1))
        return await _search(wanted)


@workflow.defn(name="CatalogSearchWorkflow")
class BehindAPatch:
    """Waits only in runs that this code started."""

    @workflow.run
    async def run(self, wanted: CatalogSearchInput) -> SearchResult:
        if workflow.patched("wait-before-the-search"):
            await workflow.sleep(timedelta(seconds=1))
        return await _search(wanted)


async def _search(wanted: CatalogSearchInput) -> SearchResult:
    return await workflow.execute_activity_method(
        SearchCatalog.search_catalog, wanted, **activity_options("search_catalog", "Embed the query and search")
    )
