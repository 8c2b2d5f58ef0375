"""Dependencies of routes. The composition root builds them and stores them in the app's state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.readiness import Readiness
from api.security.api_keys import ApiKeyPrincipals
from api.security.authorization import people_scope_for, scope_for
from api.security.external_issuers import ExternalIssuers
from api.security.oidc import OidcProvider
from api.security.passwords import Passwords
from api.security.principals import Principals
from api.security.tokens import Principal, Tokens
from api.services.progress_streams import ProgressStreams
from api.settings import ApiSettings
from domain.account_links import LinkMailRuns
from domain.appeals import AppealRuns
from domain.assessments.ports import AssessmentRuns
from domain.privacy import ErasureRuns
from domain.recommending.ports import CatalogRuns, CatalogSearches
from domain.rescores.ports import RescoreRuns
from domain.webhooks.ports import DeliveryRuns
from persistence.queries.admin_pages import AdminPageQueries
from persistence.queries.advisor_pages import AdvisorPageQueries
from persistence.queries.appeals import AppealQueries
from persistence.queries.assessments import Queries
from persistence.queries.audit import AuditQueries, Denials
from persistence.queries.catalog import CatalogQueries
from persistence.queries.cohorts import CohortQueries
from persistence.queries.people import PeopleQueries
from persistence.queries.people_views import PeopleScope
from persistence.queries.quality import QualityQueries
from persistence.queries.rescore_pages import RescorePageQueries
from persistence.queries.rescores import RescoreQueries
from persistence.queries.review_queue import ReviewQueueQueries
from persistence.queries.student_pages import StudentPageQueries
from persistence.queries.views import AccessScope
from persistence.queries.webhooks import WebhookQueries
from persistence.queries.work import WorkQueries
from persistence.repositories.api_keys import ApiKeyQueries
from persistence.repositories.export import Exports
from persistence.repositories.web_sessions import WebSessionQueries
from persistence.request_database import RequestDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRuns:
    """The ports of the workflow engine."""

    assessments: AssessmentRuns
    appeals: AppealRuns
    deliveries: DeliveryRuns
    link_mails: LinkMailRuns
    catalog: CatalogRuns
    searches: CatalogSearches
    erasures: ErasureRuns
    rescores: RescoreRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealServices:
    """Dependencies of the routes of appeals."""

    queries: AppealQueries
    runs: AppealRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookServices:
    """Dependencies of webhook routes. `check_url` raises InvalidInput for a URL that must not be called."""

    queries: WebhookQueries
    runs: DeliveryRuns
    check_url: Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleServices:
    """Dependencies of the routes of organizations, users, cohorts and API keys."""

    queries: PeopleQueries
    cohorts: CohortQueries
    api_keys: ApiKeyQueries
    link_runs: LinkMailRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyServices:
    """Dependencies of the routes of erasure, export and the audit trail."""

    audit: AuditQueries
    denials: Denials
    exports: Exports
    runs: ErasureRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogServices:
    """Dependencies of catalog search and import."""

    queries: CatalogQueries
    runs: CatalogRuns
    searches: CatalogSearches


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreServices:
    """Dependencies of the routes of re-scores."""

    queries: RescoreQueries
    runs: RescoreRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServices:
    """Dependencies of the web pages."""

    sessions: WebSessionQueries
    student: StudentPageQueries
    admin: AdminPageQueries
    advisor: AdvisorPageQueries
    rescores: RescorePageQueries
    streams: ProgressStreams


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    settings: ApiSettings
    tokens: Tokens
    passwords: Passwords
    principals: Principals
    issuers: ExternalIssuers
    api_keys: ApiKeyPrincipals
    queries: Queries
    database: RequestDatabase
    runs: AssessmentRuns
    appeals: AppealServices
    webhooks: WebhookServices
    people: PeopleServices
    catalog: CatalogServices
    privacy: PrivacyServices
    quality: QualityQueries
    review_queue: ReviewQueueQueries
    rescores: RescoreServices
    work: WorkQueries
    pages: PageServices
    readiness: Readiness
    oidc: OidcProvider | None = None


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _principal(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


async def _scope(request: Request) -> AccessScope:
    return scope_for(request.state.principal)


async def _people_scope(request: Request) -> PeopleScope:
    return people_scope_for(request.state.principal)


ServicesDep = Annotated[Services, Depends(_services)]
PrincipalDep = Annotated[Principal, Depends(_principal)]
ScopeDep = Annotated[AccessScope, Depends(_scope)]
"""The assessments that the principal may see. Every query about assessments takes a scope."""
PeopleScopeDep = Annotated[PeopleScope, Depends(_people_scope)]
"""The users that the principal may see. Every query about users takes a scope."""
