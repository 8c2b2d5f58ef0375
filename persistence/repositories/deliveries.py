"""The repository of webhook deliveries: one statement before each request and one after it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, text

from domain.errors import NotFound
from domain.ids import derived_id
from domain.sweeps import Cursor
from domain.webhooks.deliveries import (
    AttemptOutcome,
    Delivery,
    DeliveryStatus,
    DueAttempt,
    Message,
    WebhookResponse,
    signing_secrets,
    status_after,
)
from persistence.repositories.audit import correlation_id
from persistence.repositories.base import Repository

GIVEN_UP_AFTER: Final = timedelta(days=5)
"""An endpoint is disabled after failing for this long without a success."""
_LATE_S: Final = 10
"""A reserved time slot expires after this many seconds, so that delayed deliveries are not all sent at once."""
_FIRST: Final = UUID(int=0)
_DELIVERY: Final = ("id", "organization_id", "event_id", "endpoint_id", "n")
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Without a rate limit, this statement only reads. With one, it reserves the endpoint's next time slot and stores it in
# the delivery.
_DUE: Final = text(f"""
WITH due AS (
  SELECT delivery.id, delivery.status, delivery.attempts, delivery.response_code, delivery.next_attempt_at,
    delivery.turn_at, delivery.event_id, delivery.endpoint_id, event.body,
    endpoint.url, endpoint.secret, endpoint.previous_secret, endpoint.previous_secret_until,
    endpoint.rate_limit_per_minute,
    endpoint.enabled AND coalesce(person.status NOT IN ('erasing', 'erased'), true) AS allowed,
    clock_timestamp() AS now
  FROM webhook_deliveries AS delivery
  JOIN webhook_events AS event ON event.id = delivery.event_id
  JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
  LEFT JOIN assessments AS assessment ON assessment.id = event.assessment_id
  LEFT JOIN users AS person ON person.id = assessment.user_id
  WHERE delivery.id = :delivery_id
), paced AS (
  UPDATE webhook_endpoints AS endpoint
  SET paced_until = greatest(endpoint.paced_until, due.now)
    + make_interval(secs => 60.0 / endpoint.rate_limit_per_minute)
  FROM due
  WHERE endpoint.id = due.endpoint_id AND due.rate_limit_per_minute IS NOT NULL
    AND due.status = 'pending' AND due.allowed AND due.attempts < :attempt
    AND coalesce(due.turn_at < due.now - make_interval(secs => {_LATE_S}), true)
  RETURNING endpoint.paced_until - make_interval(secs => 60.0 / endpoint.rate_limit_per_minute) AS turn_at
), kept AS (
  UPDATE webhook_deliveries AS delivery SET turn_at = paced.turn_at FROM paced WHERE delivery.id = :delivery_id
)
SELECT due.*,
  CASE WHEN rate_limit_per_minute IS NULL THEN 0
    ELSE greatest(0, extract(epoch FROM coalesce((SELECT turn_at FROM paced), turn_at) - now)) END AS turn_in_s
FROM due
""")  # noqa: S608  # a number of this code

_RECORD: Final = text("""
WITH attempt AS (
  INSERT INTO webhook_attempts (
    id, delivery_id, n, outcome, response_code, response_excerpt, latency_ms, started_at)
  SELECT :attempt_id, id, :attempt, :outcome, :code, :excerpt, :latency_ms, :started_at
  FROM webhook_deliveries WHERE id = :delivery_id AND status = 'pending' AND attempts = :attempt - 1
  ON CONFLICT DO NOTHING
  RETURNING delivery_id
), delivery AS (
  UPDATE webhook_deliveries AS delivery
  SET status = :status, attempts = :attempt, response_code = :code, last_attempt_at = :started_at,
    next_attempt_at = :next_attempt_at, turn_at = NULL,
    completed_at = CASE WHEN :ended THEN clock_timestamp() END
  FROM attempt WHERE delivery.id = attempt.delivery_id
  RETURNING delivery.id, delivery.organization_id, delivery.endpoint_id, delivery.status
), endpoint AS (
  UPDATE webhook_endpoints AS endpoint
  SET failing_since = CASE WHEN :delivered THEN NULL ELSE coalesce(endpoint.failing_since, :started_at) END,
    enabled = :delivered OR NOT (:gone OR coalesce(endpoint.failing_since <= :given_up_before, false)),
    updated_at = clock_timestamp()
  FROM delivery
  WHERE endpoint.id = delivery.endpoint_id AND endpoint.enabled
    AND CASE WHEN :delivered THEN endpoint.failing_since IS NOT NULL
      ELSE :gone OR coalesce(endpoint.failing_since <= :given_up_before, true) END
  RETURNING endpoint.id, endpoint.organization_id, endpoint.enabled
), noted AS (
  INSERT INTO audit_logs (
    id, organization_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
  SELECT :disabled_id, organization_id, 'system', 'webhook_endpoint.disabled', 'webhook_endpoint', id,
    CAST(:correlation_id AS text),
    jsonb_build_object('reason', CASE WHEN :gone THEN 'gone' ELSE 'failing' END, 'delivery_id', :delivery_id)
  FROM endpoint WHERE NOT enabled
  UNION ALL
  SELECT :dead_id, organization_id, 'system', 'webhook_delivery.dead_letter', 'webhook_delivery', id,
    CAST(:correlation_id AS text),
    jsonb_build_object('reason', CASE WHEN :gone THEN 'gone' ELSE 'attempts' END, 'attempts', :attempt)
  FROM delivery WHERE status = 'dead_letter'
)
SELECT id FROM delivery
""")

_CLOSE: Final = text("""
WITH closed AS (
  UPDATE webhook_deliveries
  SET status = :status, next_attempt_at = NULL, turn_at = NULL, completed_at = clock_timestamp()
  WHERE id = :delivery_id AND status = 'pending'
  RETURNING id, organization_id, attempts, status
), noted AS (
  INSERT INTO audit_logs (
    id, organization_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
  SELECT :audit_id, organization_id, 'system', 'webhook_delivery.' || status, 'webhook_delivery', id, :correlation_id,
    jsonb_build_object('reason', CAST(:reason AS text), 'attempts', attempts)
  FROM closed
)
SELECT coalesce((SELECT status FROM closed), status) AS status FROM webhook_deliveries WHERE id = :delivery_id
""")

# The run of a delivery whose next attempt is in the future has nothing to do, so its loss is found when it is due.
_OVERDUE: Final = text("""
SELECT id, organization_id, event_id, endpoint_id, n, coalesce(next_attempt_at, created_at) AS due_at
FROM webhook_deliveries
WHERE status = 'pending' AND coalesce(next_attempt_at, created_at) <= now() - make_interval(secs => :late_s)
  AND (coalesce(next_attempt_at, created_at), id) > (:at, :after)
ORDER BY coalesce(next_attempt_at, created_at), id LIMIT :limit
""")


class SqlDeliveries(Repository):
    async def due(self, delivery_id: UUID, attempt: int, now: datetime) -> DueAttempt:
        rows = await self._session.execute(_DUE, {"delivery_id": delivery_id, "attempt": attempt})
        row = rows.mappings().one_or_none()
        if row is None:
            raise NotFound(f"Delivery {delivery_id} does not exist")
        next_at = row["next_attempt_at"]
        return DueAttempt(
            status=DeliveryStatus(row["status"]),
            attempts=row["attempts"],
            code=row["response_code"],
            message=_message(row, now) if row["allowed"] else None,
            turn_in_s=float(row["turn_in_s"]),
            next_in_s=None if next_at is None else max(0.0, (next_at - now).total_seconds()),
        )

    async def record(
        self, delivery_id: UUID, attempt: int, now: datetime, answer: WebhookResponse, wait_s: float | None
    ) -> bool:
        written = await self._session.execute(_RECORD, _attempt(delivery_id, attempt, now, answer, wait_s))
        return written.one_or_none() is not None

    async def close(self, delivery_id: UUID, status: DeliveryStatus, reason: str) -> DeliveryStatus:
        row = (
            await self._session.execute(
                _CLOSE,
                {
                    "delivery_id": delivery_id,
                    "status": status.value,
                    "reason": reason,
                    "audit_id": derived_id("audit", delivery_id, status),
                    "correlation_id": correlation_id(),
                },
            )
        ).one_or_none()
        if row is None:
            raise NotFound(f"Delivery {delivery_id} does not exist")
        return DeliveryStatus(row.status)

    async def overdue(
        self, *, late_s: float, after: Cursor | None, limit: int
    ) -> tuple[tuple[datetime, Delivery], ...]:
        position = {"at": after.at, "after": after.id} if after and after.at else {"at": _EARLIEST, "after": _FIRST}
        rows = await self._session.execute(_OVERDUE, {"late_s": late_s, "limit": limit, **position})
        return tuple((row["due_at"], Delivery(**{name: row[name] for name in _DELIVERY})) for row in rows.mappings())


def _message(row: RowMapping, now: datetime) -> Message:
    secrets = signing_secrets(row["secret"], row["previous_secret"], row["previous_secret_until"], now)
    return Message(event_id=row["event_id"], url=row["url"], body=row["body"], secrets=secrets, sent_at=now)


def _attempt(
    delivery_id: UUID, attempt: int, now: datetime, answer: WebhookResponse, wait_s: float | None
) -> dict[str, Any]:
    status = status_after(answer.outcome, wait_s)
    next_at = now + timedelta(seconds=wait_s) if status is DeliveryStatus.PENDING and wait_s is not None else None
    return {
        "delivery_id": delivery_id,
        "attempt": attempt,
        "attempt_id": derived_id("attempt", delivery_id, attempt),
        "outcome": answer.outcome.value,
        "code": answer.code,
        "excerpt": answer.excerpt,
        "latency_ms": answer.latency_ms,
        "started_at": now,
        "status": status.value,
        "next_attempt_at": next_at,
        "ended": status is not DeliveryStatus.PENDING,
        "delivered": answer.outcome is AttemptOutcome.DELIVERED,
        "gone": answer.outcome is AttemptOutcome.GONE,
        "given_up_before": now - GIVEN_UP_AFTER,
        "disabled_id": derived_id("audit:disabled", delivery_id, attempt),
        "dead_id": derived_id("audit", delivery_id, DeliveryStatus.DEAD_LETTER),
        "correlation_id": correlation_id(),
    }
