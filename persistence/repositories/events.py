"""Webhook events: one row with the bytes that every attempt sends, and a delivery per subscribed endpoint."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import and_, any_, bindparam, outerjoin, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.appeals import Appeal
from domain.assessments.lifecycle import Assessment
from domain.ids import derived_id
from domain.webhooks.deliveries import Delivery
from persistence.repositories.assessments import revision_id
from persistence.repositories.bulk import Rows
from persistence.tables import UserRow, WebhookDeliveryRow, WebhookEndpointRow, WebhookEventRow
from persistence.tables.base import table_of

PAYLOAD_VERSION: Final = 1

_endpoints: Final = table_of(WebhookEndpointRow).c
_users: Final = table_of(UserRow).c

# The user's external id, and the endpoints that receive the event. Without endpoints, one row without an endpoint.
_SUBSCRIBED: Final = (
    select(_users.external_id, _endpoints.id.label("endpoint_id"))
    .select_from(
        outerjoin(
            table_of(UserRow),
            table_of(WebhookEndpointRow),
            and_(
                _endpoints.organization_id == bindparam("organization_id"),
                _endpoints.enabled,
                bindparam("event_type") == any_(_endpoints.event_types),
            ),
        )
    )
    .where(_users.id == bindparam("user_id"))
    .order_by(_endpoints.id)
)


class EventType(StrEnum):
    COMPLETED = "assessment.completed"
    FAILED = "assessment.failed"
    UPDATED = "assessment.updated"
    APPEAL_OPENED = "appeal.opened"
    APPEAL_ANSWERED = "appeal.answered"
    TEST = "webhook.test"


def event_id(event_type: EventType, assessment: Assessment) -> UUID:
    """Return the id of an event: one event of each type per revision of a run."""
    return revision_id(assessment, f"event:{event_type}")


async def event_rows(
    session: AsyncSession, event_type: EventType, assessment: Assessment, now: datetime, data: Mapping[str, Any]
) -> Rows:
    """Return the rows of an event about an assessment after its transition."""
    return await _rows(session, event_id(event_type, assessment), event_type, assessment, now, data)


async def appeal_event_rows(
    session: AsyncSession, event_type: EventType, assessment: Assessment, appeal: Appeal, now: datetime
) -> Rows:
    """Return the rows of an event about an appeal. Each appeal has one event of each type."""
    own_id = derived_id("event", event_type, appeal.id)
    data = {"appeal_id": appeal.id, "question_id": appeal.question_id, "appeal_state": appeal.state}
    return await _rows(session, own_id, event_type, assessment, now, data)


async def _rows(  # noqa: PLR0913, PLR0917  # the parts of an event
    session: AsyncSession,
    own_id: UUID,
    event_type: EventType,
    assessment: Assessment,
    now: datetime,
    data: Mapping[str, Any],
) -> Rows:
    about = {
        "organization_id": assessment.organization_id,
        "user_id": assessment.user_id,
        "event_type": event_type.value,
    }
    found = (await session.execute(_SUBSCRIBED, about)).all()
    endpoints = [row.endpoint_id for row in found if row.endpoint_id is not None]
    event = _event(
        own_id,
        assessment.organization_id,
        event_type,
        now,
        _about(assessment, found[0].external_id, data),
        assessment_id=assessment.id,
        status="pending" if endpoints else "unsubscribed",
    )
    return {
        WebhookEventRow: [event],
        WebhookDeliveryRow: [
            delivery_row(assessment.organization_id, event["id"], endpoint_id) for endpoint_id in endpoints
        ],
    }


def deliveries_in(rows: Rows) -> tuple[Delivery, ...]:
    """Return the deliveries among the rows."""
    names = ("id", "organization_id", "event_id", "endpoint_id", "n")
    return tuple(Delivery(**{name: row[name] for name in names}) for row in rows.get(WebhookDeliveryRow, ()))


def trial_rows(organization_id: UUID, endpoint_id: UUID, now: datetime) -> Rows:
    """Return the rows of a `webhook.test` to one endpoint, whatever its subscriptions are."""
    event = _event(uuid4(), organization_id, EventType.TEST, now, {"endpoint_id": endpoint_id})
    return {WebhookEventRow: [event], WebhookDeliveryRow: [delivery_row(organization_id, event["id"], endpoint_id)]}


def delivery_row(organization_id: UUID, event_id: UUID, endpoint_id: UUID, n: int = 1) -> dict[str, Any]:
    """Return the row of the `n`-th delivery of an event to an endpoint, not yet attempted."""
    return {
        "id": derived_id("delivery", event_id, endpoint_id, n),
        "organization_id": organization_id,
        "event_id": event_id,
        "endpoint_id": endpoint_id,
        "n": n,
        "status": "pending",
        "attempts": 0,
    }


def _event(  # noqa: PLR0913  # the columns of an event
    own_id: UUID,
    organization_id: UUID,
    event_type: EventType,
    now: datetime,
    data: Mapping[str, Any],
    *,
    assessment_id: UUID | None = None,
    status: str = "pending",
) -> dict[str, Any]:
    payload = {"version": PAYLOAD_VERSION, "type": event_type, "timestamp": now, "data": data}
    return {
        "id": own_id,
        "organization_id": organization_id,
        "assessment_id": assessment_id,
        "event_type": event_type,
        "payload": payload,
        "body": _as_bytea(to_json(payload)),
        "status": status,
        "attempts": 0,
        "created_at": now,
    }


def _about(assessment: Assessment, external_id: str | None, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a minimal payload: the event, the resource and the URL with the details."""
    path = f"/api/v1/assessments/{assessment.id}"
    return {
        "assessment_id": assessment.id,
        "user_id": assessment.user_id,
        **({} if external_id is None else {"external_id": external_id}),
        "role_id": assessment.role_id,
        "status": assessment.status,
        "revision": assessment.revision,
        "degraded": assessment.degraded,
        **data,
        "links": {"status": path, "result": f"{path}/result"},
    }


def _as_bytea(body: bytes) -> str:
    """Return PostgreSQL's text form of bytes."""
    return f"\\x{body.hex()}"
