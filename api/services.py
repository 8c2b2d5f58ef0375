"""What routes work with, put together by the composition root and read from the app's state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.access import sees, sees_people
from api.api_keys import ApiKeyPrincipals
from api.engine import Runs
from api.external_issuers import ExternalIssuers
from api.passwords import Passwords
from api.principals import Principals
from api.settings import ApiSettings
from api.surroundings import Surroundings
from api.tokens import Principal, Tokens
from domain.ports import CatalogRuns, CatalogSearches, DeliveryRuns, ErasureRuns
from persistence.api_keys import ApiKeyQueries
from persistence.audit_queries import AuditQueries, Denials
from persistence.catalog_intake import CatalogIntakeFactory
from persistence.catalog_queries import CatalogQueries
from persistence.export import Exports
from persistence.intake import IntakeFactory
from persistence.people_intake import PeopleIntakeFactory
from persistence.people_queries import PeopleQueries
from persistence.people_views import PeopleViewer
from persistence.queries import Queries
from persistence.views import Viewer
from persistence.webhook_intake import WebhookIntakeFactory
from persistence.webhook_queries import WebhookQueries
from persistence.work_queries import WorkQueries


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
    surroundings: Surroundings


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _principal(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


async def _viewer(request: Request) -> Viewer:
    return sees(request.state.principal)


async def _people_viewer(request: Request) -> PeopleViewer:
    return sees_people(request.state.principal)


Use = Annotated[Services, Depends(_services)]
Caller = Annotated[Principal, Depends(_principal)]
Seen = Annotated[Viewer, Depends(_viewer)]
"""What the caller sees: every query about assessments takes one."""
SeenPeople = Annotated[PeopleViewer, Depends(_people_viewer)]
"""Whom the caller sees: every query about people takes one."""
