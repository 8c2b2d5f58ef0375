"""Is the process alive, and can it serve."""

import asyncio

import structlog
from fastapi import Response

from api.routing import open_router
from api.schemas.health import Health, Readiness
from api.services import Use
from domain.errors import StorageUnavailable

health = open_router(tags=["Health"])
log = structlog.get_logger(__name__)


@health.get("/healthz", summary="Is the process alive")
async def healthz() -> Health:
    return Health()


@health.get(
    "/readyz",
    summary="Can it serve",
    responses={503: {"model": Readiness, "description": "Postgres is away; nothing can be served"}},
)
async def readyz(services: Use, response: Response) -> Readiness:
    """503 only without Postgres: without Temporal answers are still taken, and runs start once it is back."""
    postgres, temporal = await asyncio.gather(_postgres_is_up(services), services.engine_is_up())
    if not postgres:
        response.status_code = 503
    return Readiness(
        status="ready" if postgres else "unavailable",
        postgres="up" if postgres else "down",
        temporal="up" if temporal else "down",
        vector_store="weaviate" if services.settings.weaviate_url else "pgvector",
        essay_grader="local",
    )


async def _postgres_is_up(services: Use) -> bool:
    try:
        await services.queries.ping()
    except StorageUnavailable:
        return False
    return True
