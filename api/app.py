"""The composition root of the API: routes in `build`, the real parts in `create_app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter, FastAPI
from starlette.types import Lifespan
from temporalio.client import Client
from temporalio.service import RPCError

from activities.adapters.webhook_sender import WebhookSettings
from api import errors, openapi
from api.correlation import Correlation
from api.engine import Runs
from api.passwords import Passwords
from api.principals import Principals
from api.routes import assessments, auth, catalog, health, recommendations, results, revising, webhooks
from api.services import Services, Webhooks
from api.settings import ApiSettings
from api.tokens import Principal, Tokens
from domain.webhooks import check_url
from persistence.engine import DatabaseSettings, create_engine
from persistence.intake import IntakeFactory, intake_factory
from persistence.queries import Queries
from persistence.sealing import SealingSettings, SecretBox
from persistence.webhook_intake import webhook_intake_factory
from persistence.webhook_queries import WebhookQueries
from workflows.client import connect
from workflows.delivery_runs import TemporalDeliveryRuns
from workflows.runs import TemporalAssessmentRuns

PREFIX: Final = "/api/v1"
HEALTH_DEADLINE_S: Final = 0.5


def build(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Routes, errors and middleware; `app.state.services` is set by the lifespan, or by a test."""
    app = FastAPI(lifespan=lifespan, generate_unique_id_function=lambda route: route.name, redirect_slashes=False)
    app.add_middleware(Correlation)
    errors.register(app)
    for each in _api_routers():
        app.include_router(each, prefix=PREFIX)
    app.include_router(health.health)
    openapi.install(app)
    return app


def create_app() -> FastAPI:
    """The app by the environment's settings, for `uvicorn --factory`; a weak secret stops it here."""
    return build(partial(_lifespan, ApiSettings(), DatabaseSettings(), SealingSettings().box(), WebhookSettings()))


def assemble(  # noqa: PLR0913  # the parts
    settings: ApiSettings,
    queries: Queries,
    intake: IntakeFactory,
    runs: Runs,
    *,
    partners: Webhooks,
    client: Client | None = None,
) -> Services:
    async def stored(user_id: UUID) -> Principal | None:
        account = await queries.account(user_id)
        return auth.principal_of(account) if account else None

    return Services(
        settings=settings,
        tokens=Tokens(settings.jwt_secret, timedelta(minutes=settings.token_minutes)),
        passwords=Passwords(),
        principals=Principals(stored),
        queries=queries,
        intake=intake,
        runs=runs,
        webhooks=partners,
        engine_is_up=partial(_is_up, client),
    )


@asynccontextmanager
async def _lifespan(
    settings: ApiSettings, database: DatabaseSettings, box: SecretBox, sending: WebhookSettings, app: FastAPI
) -> AsyncIterator[None]:
    engine = create_engine(database)
    client = await connect(lazy=True)
    partners = Webhooks(
        queries=WebhookQueries(engine),
        intake=webhook_intake_factory(engine, box),
        runs=TemporalDeliveryRuns(client),
        check_url=partial(check_url, loopback=sending.allow_loopback, own_hosts=sending.own),
    )
    runs = TemporalAssessmentRuns(client)
    services = assemble(settings, Queries(engine), intake_factory(engine), runs, partners=partners, client=client)
    app.state.services = services
    try:
        yield
    finally:
        services.passwords.close()
        await engine.dispose()


async def _is_up(client: Client | None) -> bool:
    if client is None:
        return False
    try:
        async with asyncio.timeout(HEALTH_DEADLINE_S):
            return await client.service_client.check_health()
    except (RPCError, TimeoutError, RuntimeError):
        return False


def _api_routers() -> tuple[APIRouter, ...]:
    return (
        auth.tokens,
        auth.me,
        catalog.roles,
        assessments.assessments,
        results.results,
        revising.revising,
        recommendations.recommendations,
        catalog.credentials,
        webhooks.endpoints,
        webhooks.deliveries,
    )
