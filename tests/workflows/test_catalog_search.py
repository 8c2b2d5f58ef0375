"""The port `CatalogSearches` with a worker, without a worker, and without a server."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from deploy.local.ports import HOST, free_port
from domain.errors import ExternalServiceError
from persistence.queries.catalog import CatalogQueries
from tests.workflows.pipeline import Pipeline
from workflows.engine.catalog_searches import TemporalCatalogSearches
from workflows.engine.client import connect
from workflows.policies import Queue

GENEROUS_S = 60
WORDS = "a person wants to rank customers by xylophone"


@pytest.fixture
async def search_id(pipeline_engine: AsyncEngine) -> UUID:
    return await CatalogQueries(pipeline_engine).keep_words(WORDS)


async def test_a_worker_finds_credentials_and_the_history_holds_no_text(pipeline: Pipeline, search_id: UUID) -> None:
    searches = TemporalCatalogSearches(pipeline.client, Queue.ASSESSMENTS + pipeline.suffix, deadline_s=GENEROUS_S)
    async with pipeline.workers():
        found = await searches.search(search_id, limit=3)

    assert len(found.hits[0]) == 3
    history = await pipeline.client.get_workflow_handle(f"catalog-search-{search_id}").fetch_history()
    assert "xylophone" not in history.to_json()
    assert str(search_id) in history.to_json()


async def test_a_failed_search_raises_an_error_and_is_not_retried(pipeline: Pipeline) -> None:
    searches = TemporalCatalogSearches(pipeline.client, Queue.ASSESSMENTS + pipeline.suffix, deadline_s=GENEROUS_S)
    async with pipeline.workers():
        with pytest.raises(ExternalServiceError, match="failed on the worker"):
            await searches.search(uuid4(), limit=3)


async def test_a_search_without_a_worker_times_out(temporal_client: Client, search_id: UUID) -> None:
    searches = TemporalCatalogSearches(temporal_client, f"{Queue.ASSESSMENTS}-{uuid4()}", deadline_s=0.5)

    async with asyncio.timeout(GENEROUS_S):
        with pytest.raises(ExternalServiceError):
            await searches.search(search_id, limit=3)


async def test_a_search_without_a_server_times_out(search_id: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HOST}:{free_port()}")
    searches = TemporalCatalogSearches(await connect(lazy=True), deadline_s=0.5)

    async with asyncio.timeout(GENEROUS_S):
        with pytest.raises(ExternalServiceError):
            await searches.search(search_id, limit=3)
