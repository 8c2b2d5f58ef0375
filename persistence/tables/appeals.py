"""The table of appeals."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.appeals import AppealState
from persistence.tables.base import Base, Created, Id, Updated, one_of

_OPEN = text("state = 'open'")


class AppealRow(Base):
    """A student's appeal of an essay's grade in `revision` of the result.

    `organization_id`, `user_id` and `role_id` are the assessment's; lists filter by them. `reason` and `message` are
    null after the retention of answers. `run_ended_at` is set when the workflow of a closed appeal has ended.
    """

    __tablename__ = "appeals"
    __table_args__ = (
        one_of("state", AppealState),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_at"),
        CheckConstraint("(state IN ('upheld', 'rejected')) = (answered_by IS NOT NULL)", name="answered_by"),
        Index("appeals_open_key", "question_snapshot_id", unique=True, postgresql_where=_OPEN),
        Index("idx_appeals_assessment", "assessment_id", "created_at", "id"),
        Index("idx_appeals_user", "user_id", "role_id", "created_at", "id"),
        Index("idx_appeals_organization", "organization_id", "created_at", "id"),
        Index("idx_appeals_open", "organization_id", "created_at", "id", postgresql_where=_OPEN),
        Index("idx_appeals_review", "review_id", postgresql_where=text("review_id IS NOT NULL")),
        Index("idx_appeals_unended", "id", postgresql_where=text("run_ended_at IS NULL")),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE")
    )
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    role_id: Mapped[UUID] = mapped_column(ForeignKey("role_catalog.id"))
    revision: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    reminder_due_at: Mapped[datetime]
    answer_due_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    overdue_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    message: Mapped[str | None]
    review_id: Mapped[UUID | None] = mapped_column(ForeignKey("essay_reviews.id", ondelete="SET NULL"))
    run_ended_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
