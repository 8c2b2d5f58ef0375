"""The composition root of the API. `build` adds the routes, `create_app` the real dependencies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import Lifespan

from activities.adapters.webhooks.sender import WebhookSettings
from activities.debugging import DebugSettings
from api import documentation_pages, errors, openapi
from api.dependencies import (
    AppealServices,
    CatalogServices,
    EngineRuns,
    PageServices,
    PeopleServices,
    PrivacyServices,
    RescoreServices,
    Services,
    WebhookServices,
)
from api.middleware.canonical_path import CanonicalPath
from api.middleware.concurrency_limit import ConcurrencyLimit
from api.middleware.correlation import Correlation
from api.middleware.request_metrics import MetricsSettings, RequestMetrics, RequestMetricsMiddleware
from api.middleware.response_headers import HttpSettings, ResponseHeaders, allow_origins
from api.middleware.routing import answer_head_requests, refuse_other_methods
from api.pages import site
from api.pages.errors import ErrorPages
from api.readiness import Readiness, SharedCheck
from api.routes import (
    account_links,
    api_keys,
    appeals,
    assessments,
    auth,
    catalog,
    cohorts,
    events,
    health,
    items,
    metrics,
    organization_settings,
    organizations,
    payloads,
    privacy,
    quality,
    recommendations,
    releases,
    reruns,
    rescores,
    results,
    review_queue,
    reviews,
    roster,
    users,
    webhooks,
)
from api.security.api_keys import ApiKeyPrincipals
from api.security.external_issuers import ExternalIssuers
from api.security.issuer_keys import Fetch, fetch_keys
from api.security.oidc import OidcProvider, OidcSettings
from api.security.passwords import Passwords
from api.security.principals import Principals, Subject
from api.security.rate_limits import RateLimits, RateLimitSettings
from api.security.tokens import Principal, Tokens
from api.services.progress_streams import ProgressStreams
from api.settings import ApiSettings
from domain.webhooks.deliveries import check_url
from persistence.database import DatabaseSettings, Engine, RequestDatabaseSettings, create_engine
from persistence.encryption import EncryptionSettings, SecretCipher
from persistence.notifications import Listener
from persistence.queries.admin_pages import AdminPageQueries
from persistence.queries.advisor_pages import AdvisorPageQueries
from persistence.queries.appeals import AppealQueries
from persistence.queries.assessments import Queries
from persistence.queries.audit import AuditQueries, Denials
from persistence.queries.catalog import CatalogQueries
from persistence.queries.cohorts import CohortQueries
from persistence.queries.people import PeopleQueries
from persistence.queries.quality import QualityQueries
from persistence.queries.rescore_pages import RescorePageQueries
from persistence.queries.rescores import RescoreQueries
from persistence.queries.review_queue import ReviewQueueQueries
from persistence.queries.student_pages import PROGRESS_CHANNEL, StudentPageQueries
from persistence.queries.webhooks import WebhookQueries
from persistence.queries.work import WorkQueries
from persistence.repositories.api_keys import ApiKeyQueries
from persistence.repositories.export import Exports
from persistence.repositories.web_sessions import WebSessionQueries
from persistence.request_database import RequestDatabase
from workflows.engine.appeal_runs import TemporalAppealRuns
from workflows.engine.assessment_runs import TemporalAssessmentRuns
from workflows.engine.catalog_runs import TemporalCatalogRuns
from workflows.engine.catalog_searches import TemporalCatalogSearches
from workflows.engine.client import connect
from workflows.engine.delivery_runs import TemporalDeliveryRuns
from workflows.engine.erasure_runs import TemporalErasureRuns
from workflows.engine.link_mail_runs import TemporalLinkMailRuns
from workflows.engine.payload_codec import PayloadSettings
from workflows.engine.rescore_runs import TemporalRescoreRuns
from workflows.telemetry.tracing import tracing_is_on

_TELEMETRY: Final = TelemetryConfig(metrics=False, logs=False, operation_spans=False)
"""FastAPI's own telemetry: a span per request after `start_tracing`. Its logs are off: they quote exceptions."""


def build(
    lifespan: Lifespan[FastAPI] | None = None,
    http: HttpSettings | None = None,
    limits: RateLimitSettings | None = None,
    debugging: DebugSettings | None = None,
    may_scrape: MetricsSettings | None = None,
) -> FastAPI:
    """Build the app with routes, errors and middleware. The lifespan, or a test, sets `app.state.services`."""
    app = FastAPI(
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=_TELEMETRY,
        title=openapi.TITLE,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    http = http or HttpSettings()
    app.state.body_timeout_s = http.api_body_timeout_s
    app.state.request_timeout_s = http.api_request_timeout_s
    app.state.limits = RateLimits(limits or RateLimitSettings(), http.proxies)
    app.add_middleware(CanonicalPath)
    app.add_middleware(ConcurrencyLimit, max_requests=http.api_max_requests, max_streams=http.api_max_streams)
    app.add_middleware(Correlation, debug=(debugging or DebugSettings()).microcred_debug)
    if http.api_pages:
        app.add_middleware(ErrorPages)  # around the middleware above, whose JSON errors it replaces
    allow_origins(app, http.origins)
    app.add_middleware(ResponseHeaders, settings=http)
    app.state.metrics = RequestMetrics()
    app.state.may_scrape = may_scrape or MetricsSettings()
    app.state.database_check = SharedCheck()
    app.state.payload_cipher = PayloadSettings().cipher()
    app.add_middleware(RequestMetricsMiddleware, metrics=app.state.metrics)
    errors.register(app)
    routers = [*_api_routers(), health.health, metrics.scraped]
    if http.api_pages:
        routers += site.routers()
        site.prepare(app, secure_cookies=http.microcred_env != "development")
    for each in routers:  # with `include_router`, each request would search each router twice
        app.router.routes.extend(each.routes)
    answer_head_requests(app)
    refuse_other_methods(app)
    openapi.install(app)
    documentation_pages.install(app)
    return app


def create_app() -> FastAPI:
    """Create the app from the environment's settings, for `uvicorn --factory`. A weak secret stops the start."""
    parts = (
        *(ApiSettings(), OidcSettings(), RequestDatabaseSettings()),
        *(EncryptionSettings().cipher(), WebhookSettings()),
    )
    return build(partial(_lifespan, *parts))


def assemble(  # noqa: PLR0913  # the parts that tests replace
    settings: ApiSettings,
    engine: Engine,
    cipher: SecretCipher | None,
    runs: EngineRuns,
    *,
    check_url: Callable[[str], object],
    streams: ProgressStreams,
    fetch: Fetch,
    readiness: Readiness,
    oidc: OidcProvider | None = None,
) -> Services:
    queries = Queries(engine)
    api_keys = ApiKeyQueries(engine)

    async def stored(subject: Subject) -> Principal | None:
        find = queries.account(subject) if isinstance(subject, UUID) else queries.account_by_email(subject)
        account = await find
        return auth.principal_of(account) if account else None

    principals = Principals(stored)
    return Services(
        settings=settings,
        tokens=Tokens(settings.jwt_secret, timedelta(minutes=settings.token_minutes)),
        passwords=Passwords(),
        principals=principals,
        issuers=ExternalIssuers(settings.oidc_issuers, fetch, principals.find),
        api_keys=ApiKeyPrincipals(api_keys.use),
        queries=queries,
        database=RequestDatabase(engine, cipher),
        runs=runs.assessments,
        appeals=AppealServices(queries=AppealQueries(engine), runs=runs.appeals),
        webhooks=WebhookServices(queries=WebhookQueries(engine), runs=runs.deliveries, check_url=check_url),
        people=PeopleServices(
            queries=PeopleQueries(engine),
            cohorts=CohortQueries(engine),
            api_keys=api_keys,
            link_runs=runs.link_mails,
        ),
        catalog=CatalogServices(queries=CatalogQueries(engine), runs=runs.catalog, searches=runs.searches),
        privacy=PrivacyServices(
            audit=AuditQueries(engine),
            denials=Denials(engine),
            exports=Exports(engine),
            runs=runs.erasures,
        ),
        quality=QualityQueries(engine),
        review_queue=ReviewQueueQueries(engine),
        rescores=RescoreServices(queries=RescoreQueries(engine), runs=runs.rescores),
        work=WorkQueries(engine),
        pages=PageServices(
            sessions=WebSessionQueries(engine),
            student=StudentPageQueries(engine),
            admin=AdminPageQueries(engine),
            advisor=AdvisorPageQueries(engine),
            rescores=RescorePageQueries(engine),
            streams=streams,
        ),
        readiness=readiness,
        oidc=oidc,
    )


@asynccontextmanager
async def _lifespan(  # noqa: PLR0913, PLR0917  # the settings
    settings: ApiSettings,
    oidc: OidcSettings,
    database: DatabaseSettings,
    cipher: SecretCipher,
    webhook_settings: WebhookSettings,
    app: FastAPI,
) -> AsyncIterator[None]:
    engine = create_engine(database)
    if tracing_is_on():
        from persistence.statement_spans import trace_statements  # noqa: PLC0415  # only where spans are exported

        trace_statements(engine)
    client = await connect(lazy=True)
    http = httpx.AsyncClient()
    streams = ProgressStreams(on_first=lambda: listener.start())  # noqa: PLW0108  # the listener needs the streams
    listener = Listener(database, PROGRESS_CHANNEL, streams.changed)
    services = assemble(
        settings,
        engine,
        cipher,
        EngineRuns(
            assessments=TemporalAssessmentRuns(client),
            appeals=TemporalAppealRuns(client),
            deliveries=TemporalDeliveryRuns(client),
            link_mails=TemporalLinkMailRuns(client),
            catalog=TemporalCatalogRuns(client),
            searches=TemporalCatalogSearches(client),
            erasures=TemporalErasureRuns(client),
            rescores=TemporalRescoreRuns(client),
        ),
        check_url=partial(check_url, loopback=webhook_settings.allow_loopback, own_hosts=webhook_settings.own),
        streams=streams,
        fetch=partial(fetch_keys, http),
        readiness=Readiness(client, http, settings.weaviate_url),
        oidc=OidcProvider(oidc, http) if oidc.issuer else None,
    )
    app.state.services = services
    try:
        yield
    finally:
        services.passwords.close()
        await listener.stop()
        await http.aclose()
        await engine.dispose()


def _api_routers() -> tuple[APIRouter, ...]:
    """Return the routers in the order in which routes are searched, the most requested ones first."""
    return (
        assessments.assessments,
        results.results,
        auth.tokens,
        account_links.used_links,
        auth.me,
        organizations.organizations,
        organization_settings.organization_settings,
        users.users,
        account_links.links,
        roster.roster,
        cohorts.cohorts,
        api_keys.api_keys,
        privacy.privacy,
        privacy.audit_logs,
        catalog.roles,
        events.events,
        items.items,
        reruns.reruns,
        reviews.reviews,
        appeals.assessment_appeals,
        appeals.appeals,
        quality.quality,
        releases.releases,
        review_queue.review_queue,
        rescores.rescores,
        recommendations.recommendations,
        catalog.credentials,
        catalog.searches,
        catalog.imports,
        webhooks.endpoints,
        webhooks.deliveries,
        payloads.payloads,
    )
