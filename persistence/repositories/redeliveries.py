"""Deliveries that an admin requests: test, redeliver and recover."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text

from domain.errors import Conflict, NotFound
from domain.webhooks.deliveries import Delivery
from persistence.queries.views import AccessScope, Actor
from persistence.queries.webhook_views import EndpointView
from persistence.repositories.base import Repository
from persistence.repositories.bulk import Rows, insert_rows
from persistence.repositories.endpoints import locked_endpoint, note
from persistence.repositories.events import deliveries_in, delivery_row, trial_rows
from persistence.tables import WebhookDeliveryRow
from persistence.tables.base import table_of

MAX_RECOVERED: Final = 200
"""Maximum per call; the next call continues."""
PAGE: Final = 1000
"""Events that one statement reads."""

_deliveries: Final = table_of(WebhookDeliveryRow)

# The next events of the period, and whether the endpoint missed them. Includes events from when the endpoint was
# disabled, which have no delivery at all.
_NEXT: Final = text("""
WITH event AS (
  SELECT id, created_at, event_type, assessment_id FROM webhook_events
  WHERE organization_id = :organization_id
    AND (created_at, id) > (:at, :after) AND created_at < coalesce(CAST(:until AS timestamptz), 'infinity')
  ORDER BY created_at, id LIMIT :limit
)
SELECT event.id, event.created_at, coalesce(delivery.n, 0) + 1 AS n,
  event.event_type = ANY(:event_types) AND coalesce(delivery.ended, true)
    AND coalesce(person.status NOT IN ('erasing', 'erased'), true) AS missed
FROM event
CROSS JOIN LATERAL (
  SELECT max(n) AS n, bool_and(status IN ('dead_letter', 'cancelled')) AS ended FROM webhook_deliveries
  WHERE event_id = event.id AND endpoint_id = :endpoint_id
) AS delivery
LEFT JOIN assessments AS assessment ON assessment.id = event.assessment_id
LEFT JOIN users AS person ON person.id = assessment.user_id
ORDER BY event.created_at, event.id
""")
_FIRST: Final = UUID(int=0)

_IS_ERASED: Final = text("""
SELECT users.status IN ('erasing', 'erased')
FROM webhook_events AS event
JOIN assessments ON assessments.id = event.assessment_id
JOIN users ON users.id = assessments.user_id
WHERE event.id = :event_id
FOR SHARE OF users
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redelivered:
    """`waiting`: the delivery was already pending; its workflow only needs a signal to attempt it now."""

    delivery: Delivery
    waiting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """`more`: there are more events than one call recovers."""

    deliveries: tuple[Delivery, ...]
    more: bool


class Redeliveries(Repository):
    """Write deliveries in the caller's transaction. The caller commits and then notifies the workflow engine."""

    async def test(self, endpoint_id: UUID, viewer: AccessScope, admin: Actor) -> Delivery:
        """Create a `webhook.test` event for this endpoint.

        Raises:
            NotFound: the endpoint does not exist or is outside the viewer's scope.
            Conflict: the endpoint is disabled.
        """
        await self._enabled(endpoint_id, viewer)
        now = (await self._session.scalars(select(func.clock_timestamp()))).one()
        rows = trial_rows(viewer.organization_id, endpoint_id, now)
        await insert_rows(self._session, rows)
        (delivery,) = deliveries_in(rows)
        await note(self._session, "tested", endpoint_id, viewer, admin, event_id=delivery.event_id)
        return delivery

    async def redeliver(self, delivery_id: UUID, viewer: AccessScope, admin: Actor) -> Redelivered:
        """Return the pending delivery of the same event to the same endpoint; create the next one if none is pending.

        Raises:
            NotFound: the delivery does not exist or is outside the viewer's scope.
            Conflict: its endpoint is disabled or deleted, or its event is about an erased user.
        """
        event_id, endpoint_id = await self._sent(delivery_id, viewer)
        if await self._session.scalar(_IS_ERASED, {"event_id": event_id}):
            raise Conflict("This delivery is about an erased user")
        try:
            await self._enabled(endpoint_id, viewer)
        except NotFound:
            raise Conflict("The webhook endpoint of this delivery was deleted") from None
        latest = (
            select(_deliveries.c.n, _deliveries.c.status)
            .where(_deliveries.c.event_id == event_id, _deliveries.c.endpoint_id == endpoint_id)
            .order_by(_deliveries.c.n.desc())
            .limit(1)
        )
        n, status = (await self._session.execute(latest)).one()
        waiting = status == "pending"
        row = delivery_row(viewer.organization_id, event_id, endpoint_id, n if waiting else n + 1)
        rows: Rows = {WebhookDeliveryRow: [row]}
        if not waiting:
            await insert_rows(self._session, rows)
        (delivery,) = deliveries_in(rows)
        await note(self._session, "redelivered", endpoint_id, viewer, admin, event_id=event_id, n=delivery.n)
        return Redelivered(delivery=delivery, waiting=waiting)

    async def recover(
        self, endpoint_id: UUID, viewer: AccessScope, admin: Actor, *, since: datetime, until: datetime | None
    ) -> Recovered:
        """Create another delivery of every event from `since` to before `until` that did not reach the endpoint.

        Only the event types that the endpoint subscribes to now; oldest first, at most MAX_RECOVERED. Pending
        deliveries are unchanged.

        Raises:
            NotFound: the endpoint does not exist or is outside the viewer's scope.
            Conflict: the endpoint is disabled.
        """
        endpoint = await self._enabled(endpoint_id, viewer)
        missed = await self._missed(endpoint, viewer.organization_id, since, until)
        rows = [delivery_row(viewer.organization_id, event_id, endpoint_id, n) for event_id, n in missed]
        taken: Rows = {WebhookDeliveryRow: rows[:MAX_RECOVERED]}
        await insert_rows(self._session, taken)
        recovered = Recovered(deliveries=deliveries_in(taken), more=len(rows) > MAX_RECOVERED)
        about = {"since": since, "until": until, "events": len(recovered.deliveries)}
        await note(self._session, "recovered", endpoint_id, viewer, admin, **about)
        return recovered

    async def pending(self, delivery_id: UUID) -> Delivery | None:
        """Return the delivery if it is still pending, else None."""
        columns = (_deliveries.c[name] for name in ("id", "organization_id", "event_id", "endpoint_id", "n"))
        wanted = select(*columns).where(_deliveries.c.id == delivery_id, _deliveries.c.status == "pending")
        row = (await self._session.execute(wanted)).mappings().one_or_none()
        return Delivery(**row) if row else None

    async def _missed(
        self, endpoint: EndpointView, organization_id: UUID, since: datetime, until: datetime | None
    ) -> list[tuple[UUID, int]]:
        """Return the events to recover, at most one more than MAX_RECOVERED, each with the number of its delivery."""
        period = {"endpoint_id": endpoint.endpoint_id, "organization_id": organization_id, "until": until}
        missed: list[tuple[UUID, int]] = []
        at, after = since, _FIRST
        while len(missed) <= MAX_RECOVERED:
            position = {"event_types": endpoint.event_types, "at": at, "after": after, "limit": PAGE}
            page = (await self._session.execute(_NEXT, period | position)).all()
            missed += [(row.id, row.n) for row in page if row.missed]
            if len(page) < PAGE:
                break
            at, after = page[-1].created_at, page[-1].id
        return missed[: MAX_RECOVERED + 1]

    async def _enabled(self, endpoint_id: UUID, viewer: AccessScope) -> EndpointView:
        endpoint = await locked_endpoint(self._session, endpoint_id, viewer)
        if not endpoint.enabled:
            raise Conflict("The webhook endpoint is disabled. Enable it first")
        return endpoint

    async def _sent(self, delivery_id: UUID, viewer: AccessScope) -> tuple[UUID, UUID]:
        """Return the event and the endpoint of a delivery."""
        sent = select(_deliveries.c.event_id, _deliveries.c.endpoint_id).where(
            _deliveries.c.id == delivery_id, _deliveries.c.organization_id == viewer.organization_id
        )
        row = (await self._session.execute(sent)).one_or_none()
        if row is None:
            raise NotFound("No such delivery")
        return row.event_id, row.endpoint_id
