"""Tables of human feedback: learners' reactions to recommendations and reviewers' levels of essays."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Created, Document, Hash, Id, one_of


class FeedbackRow(Base):
    """A reaction to the given `revision` of a recommendation. `credential_id` null: it is about all items.

    `organization_id` is the learner's; a trigger sets it.
    """

    __tablename__ = "recommendation_feedback"
    __table_args__ = (
        CheckConstraint("relevance_score BETWEEN 1 AND 5", name="relevance_score"),
        one_of("acceptance_status", ("accepted", "rejected", "pending")),
        Index("idx_recommendation_feedback_reco", "recommendation_id"),
        Index("idx_recommendation_feedback_newest", "organization_id", text("submitted_at DESC"), "id"),
    )

    id: Mapped[Id]
    recommendation_id: Mapped[UUID] = mapped_column(ForeignKey("recommendations.id", ondelete="CASCADE"))
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    revision: Mapped[int]
    credential_id: Mapped[UUID | None] = mapped_column(ForeignKey("credential_catalog.id"))
    submitted_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    submitted_by_role: Mapped[str] = mapped_column(String(16))
    relevance_score: Mapped[int | None]
    acceptance_status: Mapped[str | None] = mapped_column(String(16))
    comments: Mapped[str | None]
    submitted_at: Mapped[Created]


class EssayReviewRow(Base):
    """A reviewer's levels {criterion: level} of an essay. `published_revision` is null until a result includes them.

    Triggers set `organization_id`, and `version`: the version of the question by which the essay is scored.
    `audit_sample`: the essay was in the review queue as a part of the audit sample.
    """

    __tablename__ = "essay_reviews"
    __table_args__ = (
        Index("idx_essay_reviews_assessment", "assessment_id", "question_snapshot_id"),
        Index("idx_essay_reviews_unpublished", "assessment_id", postgresql_where=text("published_revision IS NULL")),
        Index("idx_essay_reviews_version", "organization_id", "version", "created_at", "id"),
        Index("idx_essay_reviews_organization", "organization_id", "created_at", "id"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE")
    )
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    version: Mapped[Hash | None]
    reviewer_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    levels: Mapped[Document]
    comment: Mapped[str | None]
    audit_sample: Mapped[bool] = mapped_column(server_default=text("false"))
    published_revision: Mapped[int | None]
    created_at: Mapped[Created]
