"""Create, change and test webhook endpoints, and deliver events again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from api.dependencies import Services, WebhookServices
from api.schemas.webhooks import EndpointChange, EndpointRequest
from api.security.authorization import actor_of, scope_for
from api.security.tokens import Principal
from api.workflow_engine import notify_engine
from domain.webhooks.deliveries import Delivery
from persistence.queries.views import AccessScope, Actor
from persistence.queries.webhook_views import EndpointView
from persistence.repositories.endpoints import Issued, NewEndpoint
from persistence.request_database import RequestUnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedDeliveries:
    """New or pending deliveries. After the commit, `after_commit` tells the workflow engine about them.

    `more`: there are more events than one call recovers.
    """

    deliveries: tuple[Delivery, ...]
    after_commit: tuple[Callable[[], Awaitable[bool]], ...]
    more: bool = False


def new_endpoint(wanted: EndpointRequest, webhooks: WebhookServices) -> NewEndpoint:
    """Check the URL of a new endpoint. Raises InvalidInput if it must not be called."""
    webhooks.check_url(wanted.url)
    return NewEndpoint(**wanted.model_dump() | {"event_types": tuple(wanted.event_types)})


def endpoint_changes(change: EndpointChange, webhooks: WebhookServices) -> dict[str, Any]:
    """Return the columns to change. Raises InvalidInput for a URL that must not be called."""
    changes = change.model_dump(exclude_unset=True)
    if "url" in changes:
        webhooks.check_url(change.url)
    return changes


class WebhookService:
    """Use cases of one transaction. The caller commits, and then makes the calls in `after_commit`.

    Raises:
        NotFound: the endpoint or the delivery does not exist or is outside the scope.
        Conflict: the endpoint must be enabled and is not, or the organization has the maximum number of endpoints.
    """

    def __init__(self, uow: RequestUnitOfWork, webhooks: WebhookServices, scope: AccessScope, admin: Actor) -> None:
        self._uow = uow
        self._runs = webhooks.runs
        self._scope = scope
        self._admin = admin

    async def create(self, new: NewEndpoint) -> Issued:
        return await self._uow.endpoints.create(self._scope, self._admin, new)

    async def change(self, endpoint_id: UUID, changes: dict[str, Any]) -> EndpointView:
        """Apply the result of `endpoint_changes`."""
        return await self._uow.endpoints.change(endpoint_id, self._scope, self._admin, changes)

    async def rotate_secret(self, endpoint_id: UUID) -> Issued:
        """Replace the secret. Both secrets sign for 24 hours."""
        return await self._uow.endpoints.rotate(endpoint_id, self._scope, self._admin)

    async def delete(self, endpoint_id: UUID) -> None:
        await self._uow.endpoints.delete(endpoint_id, self._scope, self._admin)

    async def test(self, endpoint_id: UUID) -> StartedDeliveries:
        """Deliver a `webhook.test` event to this endpoint only."""
        delivery = await self._uow.redeliveries.test(endpoint_id, self._scope, self._admin)
        return self._started(delivery)

    async def redeliver(self, delivery_id: UUID) -> StartedDeliveries:
        """Attempt a pending delivery now. Otherwise create another delivery of the same event."""
        sent = await self._uow.redeliveries.redeliver(delivery_id, self._scope, self._admin)
        call = self._runs.redeliver_now if sent.waiting else self._runs.start
        return StartedDeliveries(
            deliveries=(sent.delivery,), after_commit=(partial(notify_engine, call, sent.delivery),)
        )

    async def recover(self, endpoint_id: UUID, since: datetime, until: datetime | None) -> StartedDeliveries:
        """Deliver again the events that did not reach the endpoint in a period."""
        recovered = await self._uow.redeliveries.recover(
            endpoint_id, self._scope, self._admin, since=since, until=until
        )
        return self._started(*recovered.deliveries, more=recovered.more)

    def _started(self, *deliveries: Delivery, more: bool = False) -> StartedDeliveries:
        calls = tuple(partial(notify_engine, self._runs.start, each) for each in deliveries)
        return StartedDeliveries(deliveries=deliveries, after_commit=calls, more=more)


def service(uow: RequestUnitOfWork, services: Services, principal: Principal) -> WebhookService:
    return WebhookService(uow, services.webhooks, scope_for(principal), actor_of(principal))
