"""Read queries about webhook endpoints and deliveries. No result has a secret."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, select

from domain.webhooks.deliveries import DeliveryStatus
from persistence.queries.reader import Reader, Selected, equal_to, newest
from persistence.queries.views import AccessScope
from persistence.queries.webhook_views import (
    AttemptView,
    DeliveryFigures,
    DeliveryFilter,
    DeliveryView,
    EndedDeliveryView,
    EndpointView,
    SentDeliveryView,
)
from persistence.tables import WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow, WebhookEventRow
from persistence.tables.base import table_of

MEASURED: Final = 100
"""Deliveries of an endpoint that its figures describe."""

_endpoints: Final = table_of(WebhookEndpointRow).c
_events: Final = table_of(WebhookEventRow).c
_deliveries: Final = table_of(WebhookDeliveryRow).c
_attempts: Final = table_of(WebhookAttemptRow).c

ENDPOINT_COLUMNS: Final = (
    _endpoints.id.label("endpoint_id"),
    _endpoints.url,
    _endpoints.event_types,
    _endpoints.enabled,
    _endpoints.rate_limit_per_minute,
    _endpoints.failing_since,
    _endpoints.previous_secret_until,
    _endpoints.created_at,
    _endpoints.updated_at,
)
"""The columns of an EndpointView."""


class WebhookQueries(Reader):
    async def endpoints(self, viewer: AccessScope) -> list[EndpointView]:
        """Return the organization's endpoints, oldest first."""
        mine = endpoints_of(viewer).order_by(_endpoints.created_at, _endpoints.id)
        return await self._all(EndpointView, mine)

    async def endpoint(self, endpoint_id: UUID, viewer: AccessScope) -> EndpointView | None:
        return await self._one(EndpointView, endpoints_of(viewer).where(_endpoints.id == endpoint_id))

    async def deliveries(self, viewer: AccessScope, found: DeliveryFilter, limit: int) -> list[DeliveryView]:
        """Return at most `limit` deliveries, newest first, including those of deleted endpoints."""
        matching = _deliveries_of(viewer).where(*_matching(found))
        page = newest(matching, _deliveries.created_at, _deliveries.id, found.after, limit)
        return await self._all(DeliveryView, page)

    async def delivery_figures(self, endpoint_id: UUID, viewer: AccessScope) -> DeliveryFigures:
        """Return figures about those of the endpoint's `MEASURED` newest deliveries that have ended."""
        return DeliveryFigures(await self._all(EndedDeliveryView, _ended(endpoint_id, viewer)))

    async def delivery(self, delivery_id: UUID, viewer: AccessScope) -> SentDeliveryView | None:
        statement = _deliveries_of(viewer).add_columns(_events.body).where(_deliveries.id == delivery_id)
        return await self._one(SentDeliveryView, statement)

    async def attempts(self, delivery_id: UUID) -> list[AttemptView]:
        """Return the attempts in their order."""
        statement = select(
            _attempts.n,
            _attempts.outcome,
            _attempts.response_code,
            _attempts.response_excerpt,
            _attempts.latency_ms,
            _attempts.started_at,
        ).where(_attempts.delivery_id == delivery_id)
        return await self._all(AttemptView, statement.order_by(_attempts.n))


def endpoints_of(viewer: AccessScope) -> Selected:
    """Select the organization's endpoints that are not deleted."""
    return select(*ENDPOINT_COLUMNS).where(
        _endpoints.organization_id == viewer.organization_id, _endpoints.deleted_at.is_(None)
    )


def _ended(endpoint_id: UUID, viewer: AccessScope) -> Selected:
    recent = (
        select(_deliveries.id, _deliveries.status, _deliveries.created_at)
        .where(_deliveries.endpoint_id == endpoint_id, _deliveries.organization_id == viewer.organization_id)
        .order_by(_deliveries.created_at.desc(), _deliveries.id.desc())
        .limit(MEASURED)
        .subquery()
        .c
    )
    last_attempt = select(_attempts.latency_ms).where(_attempts.delivery_id == recent.id)
    latency = last_attempt.order_by(_attempts.n.desc()).limit(1).scalar_subquery()
    return (
        select(recent.status, latency.label("latency_ms"))
        .where(recent.status.in_([DeliveryStatus.DELIVERED, DeliveryStatus.DEAD_LETTER]))
        .order_by(recent.created_at, recent.id)
    )


def _deliveries_of(viewer: AccessScope) -> Selected:
    return (
        select(
            _deliveries.id.label("delivery_id"),
            _deliveries.event_id,
            _deliveries.endpoint_id,
            _events.event_type,
            _deliveries.n,
            _deliveries.status,
            _deliveries.attempts,
            _deliveries.response_code,
            _deliveries.last_attempt_at,
            _deliveries.next_attempt_at,
            _deliveries.completed_at,
            _deliveries.created_at,
        )
        .join(WebhookEventRow, _events.id == _deliveries.event_id)
        .where(_deliveries.organization_id == viewer.organization_id)
    )


def _matching(found: DeliveryFilter) -> list[ColumnElement[bool]]:
    wanted = {
        _deliveries.endpoint_id: found.endpoint_id,
        _deliveries.status: found.status,
        _deliveries.event_id: found.event_id,
    }
    conditions = equal_to(wanted | {_events.event_type: found.event_type})
    if found.since is not None:
        conditions.append(_deliveries.created_at >= found.since)
    return conditions
