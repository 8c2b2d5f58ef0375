"""Who did what, what it cost, and which requests were seen before."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Code, Created, Document, Hash, Id


class AuditLogRow(Base):
    """Append-only, opaque ids and codes only; no foreign keys, so it outlives what it speaks of.

    `seq` and `hash` are for sealing the rows in batches, afterwards.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("idx_audit_logs_organization", "organization_id", "created_at", "id"),
        Index("idx_audit_logs_resource", "resource_type", "resource_id"),
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
    created_at: Mapped[Created]


class MetricSnapshotRow(Base):
    """One measured number; `metric_type` names it with its unit."""

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


class IdempotencyKeyRow(Base):
    """The answer that was given to a key, committed with its effect. A platform admin has no organization."""

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
        Index("idx_idempotency_keys_created_at", "created_at"),
        Index("idx_idempotency_keys_user", "user_id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(String(8))
    route: Mapped[str] = mapped_column(String(255))
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[Hash]
    response_status: Mapped[int]
    response_body: Mapped[bytes]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
