"""The table of essays that wait for a reviewer."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.grading.review_queue import DOUBTS, ReviewReason
from persistence.tables.base import Base, Created, Names

# Both expressions are written as PostgreSQL prints them, so that `alembic check` finds them equal.
PRIORITY: Final = (
    "CASE WHEN ('appealed'::text = ANY (reasons)) THEN 0 WHEN (reasons = '{audit_sample}'::text[]) THEN 2 ELSE 1 END"
)
ORDER_KEY: Final = "(encode(substr(sha256(uuid_send(question_snapshot_id)), 1, 16), 'hex'::text))::uuid"

_REASONS: Final = ", ".join(ReviewReason)
_WAITING: Final = text("waiting")


def array_of(reason: ReviewReason) -> str:
    """Return an SQL array with the reason. Only queries with the literal array use the partial indexes below."""
    return f"'{{{reason}}}'::text[]"


class ReviewItemRow(Base):
    """An essay in the review queue.

    `waiting` false: a review is stored, and the next revision includes it. `priority` 0 is the most urgent.
    `order_key` is a hash of the essay's id: within a priority it gives a stable order that no student can influence.
    `revision` is the revision of the result for which the row was computed. `claimed_until` may be past.
    """

    __tablename__ = "review_items"
    __table_args__ = (
        CheckConstraint(
            f"cardinality(reasons) > 0 AND reasons <@ '{{{_REASONS}}}'",
            name="reasons",
        ),
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claim"),
        Index("idx_review_items_assessment", "assessment_id"),
        Index("idx_review_items_claimed_by", "claimed_by", postgresql_where=text("claimed_by IS NOT NULL")),
        Index("idx_review_items_order", "organization_id", "priority", "order_key", postgresql_where=_WAITING),
        Index(
            "idx_review_items_role", "organization_id", "role_id", "priority", "order_key", postgresql_where=_WAITING
        ),
        Index(
            "idx_review_items_question",
            "organization_id",
            "question_id",
            "priority",
            "order_key",
            postgresql_where=_WAITING,
        ),
        Index("idx_review_items_user", "user_id", "priority", "order_key", postgresql_where=_WAITING),
        Index("idx_review_items_submitted", "organization_id", "submitted_at", "order_key", postgresql_where=_WAITING),
        Index(
            "idx_review_items_role_submitted",
            "organization_id",
            "role_id",
            "submitted_at",
            "order_key",
            postgresql_where=_WAITING,
        ),
        # An item can have several of these reasons, and each of them can be rare.
        *(
            Index(
                f"idx_review_items_{doubt}{suffix}",
                "organization_id",
                first,
                "order_key",
                postgresql_where=text(f"waiting AND reasons @> {array_of(doubt)}"),
            )
            for doubt in DOUBTS
            for suffix, first in (("", "priority"), ("_submitted", "submitted_at"))
        ),
        Index("idx_review_items_reasons", "reasons", postgresql_using="gin", postgresql_where=_WAITING),
    )

    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE"), primary_key=True
    )
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    role_id: Mapped[UUID] = mapped_column(ForeignKey("role_catalog.id"))
    question_id: Mapped[UUID]
    reasons: Mapped[Names]
    priority: Mapped[int] = mapped_column(Computed(PRIORITY, persisted=True))
    order_key: Mapped[UUID] = mapped_column(Computed(ORDER_KEY, persisted=True))
    waiting: Mapped[bool]
    revision: Mapped[int]
    submitted_at: Mapped[datetime]
    claimed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[Created]
