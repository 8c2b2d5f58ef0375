"""Tables of webhooks: endpoints, events, one delivery per subscribed endpoint, and every attempt."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Code, Created, Document, Id, Names, Updated, one_of

DELIVERY_STATUSES = ("pending", "delivered", "dead_letter", "cancelled")


class WebhookEndpointRow(Base):
    """A partner's endpoint. Its secrets are encrypted; the previous secret also signs until `previous_secret_until`.

    A deleted endpoint is disabled and has no secrets; its row stays, because the delivery log refers to it.
    `paced_until` is the next free time slot of its rate limit.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("rate_limit_per_minute > 0", name="rate_limit_per_minute"),
        Index("idx_webhook_endpoints_organization", "organization_id", "created_at", "id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    url: Mapped[str]
    event_types: Mapped[Names]
    secret: Mapped[bytes]
    previous_secret: Mapped[bytes | None]
    previous_secret_until: Mapped[datetime | None]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    rate_limit_per_minute: Mapped[int | None]
    paced_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class WebhookEventRow(Base):
    """An event. `body` holds the exact bytes that every attempt sends.

    `unsubscribed`: no endpoint subscribed to its type when it occurred. A trigger (migration 0003) computes the event's
    status from its deliveries while it locks this row: pending deliveries first, then the last delivery to each
    endpoint.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        one_of("status", (*DELIVERY_STATUSES, "unsubscribed")),
        Index("idx_webhook_events_ended", "created_at", postgresql_where=text("status <> 'pending'")),
        Index("idx_webhook_events_assessment", "assessment_id"),
        Index("idx_webhook_events_organization", "organization_id", "created_at", "id"),
        Index("idx_webhook_events_event_type", "organization_id", "event_type", "created_at", "id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    assessment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    event_type: Mapped[str] = mapped_column(String(32))
    payload: Mapped[Document]
    body: Mapped[bytes]
    status: Mapped[str] = mapped_column(String(24))
    response_code: Mapped[int | None]
    last_attempt: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[Created]


class WebhookDeliveryRow(Base):
    """The n-th delivery (from 1) of an event to an endpoint; each redelivery has the next number.

    `turn_at` is the time slot of the next attempt, if the endpoint has a rate limit.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        one_of("status", DELIVERY_STATUSES),
        UniqueConstraint("event_id", "endpoint_id", "n"),
        Index("idx_webhook_deliveries_pending", "id", postgresql_where=text("status = 'pending'")),
        Index(
            "idx_webhook_deliveries_due",
            text("coalesce(next_attempt_at, created_at)"),
            "id",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("idx_webhook_deliveries_endpoint", "endpoint_id", "created_at", "id"),
        Index("idx_webhook_deliveries_organization", "organization_id", "created_at", "id"),
        Index("idx_webhook_deliveries_status", "organization_id", "status", "created_at", "id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"))
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    n: Mapped[int]
    status: Mapped[str] = mapped_column(String(24))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    response_code: Mapped[int | None]
    last_attempt_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    turn_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    created_at: Mapped[Created]


class WebhookAttemptRow(Base):
    """A request to an endpoint and its outcome. `response_excerpt` is at most 1 KiB, without NUL characters."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        UniqueConstraint("delivery_id", "n"),
        Index("idx_webhook_attempts_started_at", "started_at"),
    )

    id: Mapped[Id]
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    n: Mapped[int]
    outcome: Mapped[Code]
    response_code: Mapped[int | None]
    response_excerpt: Mapped[str | None]
    latency_ms: Mapped[int]
    started_at: Mapped[Created]
