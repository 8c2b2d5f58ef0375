"""What readiness says about the parts beside Postgres."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI

from tests.api.conftest import Api


@pytest.fixture
def with_weaviate(app: FastAPI) -> Iterator[None]:
    services = app.state.services
    settings = services.settings.model_copy(update={"weaviate_url": "https://weaviate.example"})
    app.state.services = replace(services, settings=settings)
    yield
    app.state.services = services


@pytest.mark.usefixtures("with_weaviate")
async def test_it_names_weaviate_where_workers_search_that_first(api: Api) -> None:
    assert (await api.client.get("/readyz")).json()["vector_store"] == "weaviate"


async def test_it_names_pgvector_otherwise(api: Api) -> None:
    assert (await api.client.get("/readyz")).json()["vector_store"] == "pgvector"
