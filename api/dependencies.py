"""What routes work with, put together by the composition root and read from the app's state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.readiness import Readiness
from api.security.api_keys import ApiKeyPrincipals
from api.security.authorization import people_scope_for, scope_for
from api.security.external_issuers import ExternalIssuers
from api.security.passwords import Passwords
from api.security.principals import Principals
from api.security.tokens import Principal, Tokens
from api.settings import ApiSettings
from api.workflow_engine import Runs
from domain.privacy_ports import ErasureRuns
from domain.recommending.ports import CatalogRuns, CatalogSearches
from domain.webhooks.ports import DeliveryRuns
from persistence.catalog_intake import CatalogIntakeFactory
from persistence.intake import IntakeFactory
from persistence.people_intake import PeopleIntakeFactory
from persistence.queries.assessments import Queries
from persistence.queries.audit import AuditQueries, Denials
from persistence.queries.catalog import CatalogQueries
from persistence.queries.export import Exports
from persistence.queries.people import PeopleQueries
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import AccessScope
from persistence.queries.webhooks import WebhookQueries
from persistence.queries.work import WorkQueries
from persistence.repositories.api_keys import ApiKeyQueries
from persistence.webhook_intake import WebhookIntakeFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """What the routes about webhooks work with; `check_url` raises InvalidInput for what must not be called."""

    queries: WebhookQueries
    intake: WebhookIntakeFactory
    runs: DeliveryRuns
    check_url: Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What the routes about organizations, people and their sessions work with."""

    queries: PeopleQueries
    intake: PeopleIntakeFactory
    api_keys: ApiKeyQueries


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What the routes about erasure, export and the audit trail work with."""

    audit: AuditQueries
    denials: Denials
    exports: Exports
    runs: ErasureRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the routes that search and import work with."""

    queries: CatalogQueries
    intake: CatalogIntakeFactory
    runs: CatalogRuns
    searches: CatalogSearches


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    settings: ApiSettings
    tokens: Tokens
    passwords: Passwords
    principals: Principals
    issuers: ExternalIssuers
    api_keys: ApiKeyPrincipals
    queries: Queries
    intake: IntakeFactory
    runs: Runs
    webhooks: Webhooks
    people: People
    catalogue: Catalogue
    privacy: Privacy
    work: WorkQueries
    surroundings: Readiness


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _principal(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


async def _viewer(request: Request) -> AccessScope:
    return scope_for(request.state.principal)


async def _people_viewer(request: Request) -> PeopleScope:
    return people_scope_for(request.state.principal)


ServicesDep = Annotated[Services, Depends(_services)]
Caller = Annotated[Principal, Depends(_principal)]
ScopeDep = Annotated[AccessScope, Depends(_viewer)]
"""What the caller sees: every query about assessments takes one."""
PeopleScopeDep = Annotated[PeopleScope, Depends(_people_viewer)]
"""Whom the caller sees: every query about people takes one."""
