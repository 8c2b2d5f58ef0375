"""Metrics for Prometheus: those of each process, and those of the whole system, scraped from one process."""

from typing import Any, Final, cast

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.dependencies import ServicesDep
from api.middleware.request_metrics import MetricsSettings, RequestMetrics
from api.middleware.routing import root_router
from api.schemas.errors import answers
from api.work_metrics import registry_of_work
from domain.errors import Unauthenticated

scraped = root_router(tags=["Health"])

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus's text format"},
    **answers(401),
}


@scraped.get("/metrics", summary="Metrics of this process", response_class=Response, responses=_ANSWERS)
async def metrics(request: Request) -> Response:
    """Requests by route, errors, durations, memory and CPU. Access by METRICS_NETWORKS or with METRICS_TOKEN."""
    _admit(request)
    return _text(cast(RequestMetrics, request.app.state.metrics).registry)


@scraped.get("/metrics/work", summary="Metrics of pending work", response_class=Response, responses=_ANSWERS)
async def work_metrics(request: Request, services: ServicesDep) -> Response:
    """Queues, unfinished assessments, essays to review, deliveries. Every process returns the same values."""
    _admit(request)
    return _text(await registry_of_work(services.work, services.readiness.queues))


def _text(registry: CollectorRegistry) -> Response:
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _admit(request: Request) -> None:
    if not cast(MetricsSettings, request.app.state.may_scrape).allows(request.scope):
        raise Unauthenticated("A valid bearer token is required")
