"""Tables of operations: audit trail, denied requests, metrics and idempotency keys."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Code, Created, Document, Hash, Id


class AuditLogRow(Base):
    """A row of the append-only audit trail (a trigger enforces it). It holds opaque ids and codes only.

    It has no foreign keys, so that rows outlive the things they name. Rows are sealed later (`audit_seal`): `position`
    is the row's place in the chain, `hash` its link. `seq` is the order of insertion, with gaps where transactions were
    rolled back. Triggers (migration 0010) set `created_at`, clear the seal of a new row and accept a seal only if it
    continues the chain.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("idx_audit_logs_organization", "organization_id", "created_at", "id"),
        Index("idx_audit_logs_action", "organization_id", "action", "created_at", "id"),
        Index("idx_audit_logs_resource_type", "organization_id", "resource_type", "created_at", "id"),
        Index("idx_audit_logs_resource", "resource_id"),
        Index("idx_audit_logs_actor", "actor_id", "created_at", "id"),
        Index("idx_audit_logs_unsealed", "seq", postgresql_where=text("hash IS NULL")),
        CheckConstraint("(hash IS NULL) = (position IS NULL)", name="sealed"),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("hash ~ '^[0-9a-f]{64}$'", name="hash"),
    )

    id: Mapped[Id]
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    organization_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str | None] = mapped_column(String(16))
    action: Mapped[Code]
    resource_type: Mapped[str] = mapped_column(String(32))
    resource_id: Mapped[UUID | None]
    correlation_id: Mapped[str | None] = mapped_column(String(128))
    details: Mapped[Document | None] = mapped_column("metadata")
    hash: Mapped[Hash | None]
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    created_at: Mapped[Created]


class DeniedRequestsRow(Base):
    """The number of a principal's requests that were refused with 403 in the hour that starts at `hour`.

    `user_id` is the id of a user or of an API key.
    """

    __tablename__ = "denied_requests"
    __table_args__ = (Index("idx_denied_requests_hour", "hour"),)

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


class MetricSnapshotRow(Base):
    """A measured number; `metric_type` names the metric and its unit."""

    __tablename__ = "metric_snapshots"
    __table_args__ = (
        Index("idx_metric_snapshots_assessment", "assessment_id"),
        Index("idx_metric_snapshots_type", "metric_type", "captured_at"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    metric_type: Mapped[str] = mapped_column(String(32))
    value: Mapped[Decimal] = mapped_column(Numeric(16, 6))
    context: Mapped[Document | None]
    captured_at: Mapped[Created]


class SweepRow(Base):
    """The end of the last sweep of a concern of reconciliation, and where the next one continues (null: at the start).

    `cursor_at` is set if the rows of the concern are ordered by a time. See `domain.sweeps`.
    """

    __tablename__ = "sweeps"

    concern: Mapped[str] = mapped_column(String(24), primary_key=True)
    cursor_id: Mapped[UUID | None]
    cursor_at: Mapped[datetime | None]
    swept_at: Mapped[Created]


class IdempotencyKeyRow(Base):
    """The stored response of a request with an idempotency key, committed with the request's effect.

    `user_id` is the id of a user or of an API key. `organization_id` is null for a platform admin. `hash_key_id` names
    the key of `request_hash`; it is null in rows of releases that did not store it. `named_ids` are the ids in the
    response, for erasures; null in rows of releases that did not store them.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint(
            "organization_id",
            "user_id",
            "method",
            "route",
            "key",
            name="idempotency_keys_key",
            postgresql_nulls_not_distinct=True,
        ),
        Index("idx_idempotency_keys_expires_at", "expires_at"),
        Index("idx_idempotency_keys_user", "user_id"),
        Index("idx_idempotency_keys_named_ids", "named_ids", postgresql_using="gin"),
        Index("idx_idempotency_keys_unread", "created_at", postgresql_where=text("named_ids IS NULL")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    user_id: Mapped[UUID]
    method: Mapped[str] = mapped_column(String(8))
    route: Mapped[str] = mapped_column(String(255))
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[Hash]
    hash_key_id: Mapped[str | None] = mapped_column(String(16))
    response_status: Mapped[int]
    response_body: Mapped[bytes]
    named_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
