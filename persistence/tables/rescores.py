"""Tables of re-scores. A difference is about one assessment and is deleted with the user's data."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.rescores.rescores import WORKING, DifferenceOutcome, DifferenceStatus, RescoreScope, RescoreStatus
from persistence.tables.base import Base, Cents, Code, Created, Document, Id, Names, Updated, one_of

_WORKING = text(f"status IN ({', '.join(repr(str(status)) for status in RescoreStatus if status in WORKING)})")


class RescoreRow(Base):
    """A request for a re-score, with its progress. `cursor` is the last assessment that was read."""

    __tablename__ = "rescores"
    __table_args__ = (
        one_of("scope", RescoreScope),
        one_of("status", RescoreStatus),
        CheckConstraint("(role_id IS NULL) <> (question_id IS NULL)", name="subject"),
        Index("idx_rescores_organization", "organization_id", "created_at", "id"),
        Index("idx_rescores_working", "id", postgresql_where=_WORKING),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    role_id: Mapped[UUID | None] = mapped_column(ForeignKey("role_catalog.id"))
    question_id: Mapped[UUID | None] = mapped_column(ForeignKey("questions.id"))
    since: Mapped[datetime | None]
    versions: Mapped[Names]
    reason: Mapped[str]
    scope: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    cursor: Mapped[UUID | None]
    total: Mapped[int | None]
    done: Mapped[int] = mapped_column(server_default=text("0"))
    cents: Mapped[Cents] = mapped_column(server_default=text("0"))
    stop_reason: Mapped[Code | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
    computed_at: Mapped[datetime | None]


class RescoreDifferenceRow(Base):
    """The difference of an assessment. `run` and `revision` are those that it was computed from.

    `essays` maps the essays to grade to their new scores, or to null. `difference` is what the report shows;
    `proposal` is what an application publishes. `applied_revision` is the revision that it published.
    """

    __tablename__ = "rescore_differences"
    __table_args__ = (
        one_of("status", DifferenceStatus),
        one_of("outcome", DifferenceOutcome),
        CheckConstraint("(outcome IS NULL) = (status = 'pending')", name="finished"),
        Index("idx_rescore_differences_assessment", "assessment_id"),
        Index("idx_rescore_differences_created_at", "created_at"),
        Index(
            "idx_rescore_differences_open",
            "rescore_id",
            "assessment_id",
            postgresql_where=text("status IN ('pending', 'applying')"),
        ),
    )

    rescore_id: Mapped[UUID] = mapped_column(ForeignKey("rescores.id", ondelete="CASCADE"), primary_key=True)
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[int]
    revision: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(String(16))
    old_points: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    new_points: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    reached_target: Mapped[bool] = mapped_column(server_default=text("false"))
    missed_target: Mapped[bool] = mapped_column(server_default=text("false"))
    not_comparable: Mapped[bool] = mapped_column(server_default=text("false"))
    essays: Mapped[Document | None]
    difference: Mapped[Document | None]
    proposal: Mapped[Document | None]
    applied_revision: Mapped[int | None]
    skip_reason: Mapped[Code | None]
    created_at: Mapped[Created]
