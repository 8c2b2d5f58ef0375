"""Events for partners: one row with the bytes that every attempt sends, and a delivery per endpoint that wants it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import any_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments import Assessment
from domain.identity import derived_id
from persistence.assessments import revision_id
from persistence.bulk import Rows
from persistence.tables import WebhookDeliveryRow, WebhookEndpointRow, WebhookEventRow
from persistence.tables.base import table_of

PAYLOAD_VERSION: Final = 1

_endpoints: Final = table_of(WebhookEndpointRow).c

_SUBSCRIBED: Final = (
    select(_endpoints.id)
    .where(
        _endpoints.organization_id == bindparam("organization_id"),
        _endpoints.enabled,
        bindparam("event_type") == any_(_endpoints.event_types),
    )
    .order_by(_endpoints.id)
)


class EventType(StrEnum):
    COMPLETED = "assessment.completed"
    FAILED = "assessment.failed"


def event_id(event_type: EventType, assessment: Assessment) -> UUID:
    """One event of a type per revision of a run."""
    return revision_id(assessment, f"event:{event_type}")


async def event_rows(
    session: AsyncSession, event_type: EventType, assessment: Assessment, now: datetime, data: Mapping[str, Any]
) -> Rows:
    """The rows of one event about an assessment as it stands after its transition."""
    found = await session.execute(
        _SUBSCRIBED, {"organization_id": assessment.organization_id, "event_type": event_type.value}
    )
    endpoints = found.scalars().all()
    own_id = event_id(event_type, assessment)
    payload = _payload(event_type, assessment, now, data)
    event = {
        "id": own_id,
        "organization_id": assessment.organization_id,
        "assessment_id": assessment.id,
        "event_type": event_type,
        "payload": payload,
        "body": _as_bytea(to_json(payload)),
        "status": "pending" if endpoints else "unsubscribed",
        "attempts": 0,
        "created_at": now,
    }
    return {WebhookEventRow: [event], WebhookDeliveryRow: _deliveries(own_id, assessment, endpoints)}


def _payload(event_type: EventType, assessment: Assessment, now: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """Thin: what happened to what, and where to read more."""
    path = f"/api/v1/assessments/{assessment.id}"
    about = {
        "assessment_id": assessment.id,
        "user_id": assessment.user_id,
        "role_id": assessment.role_id,
        "status": assessment.status,
        "revision": assessment.revision,
        "degraded": assessment.degraded,
        **data,
        "links": {"status": path, "result": f"{path}/result"},
    }
    return {"version": PAYLOAD_VERSION, "type": event_type, "timestamp": now, "data": about}


def _deliveries(of_event: UUID, assessment: Assessment, endpoints: Sequence[UUID]) -> list[dict[str, Any]]:
    return [
        {
            "id": derived_id("delivery", of_event, endpoint_id, 1),
            "organization_id": assessment.organization_id,
            "event_id": of_event,
            "endpoint_id": endpoint_id,
            "n": 1,
            "status": "pending",
            "attempts": 0,
        }
        for endpoint_id in endpoints
    ]


def _as_bytea(body: bytes) -> str:
    """PostgreSQL's text form of bytes."""
    return f"\\x{body.hex()}"
