"""Tables of assessments: asked questions, answers and the steps of runs."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.assessments.lifecycle import AssessmentStatus, Healing
from domain.assessments.questions import QuestionKind, QuestionType
from persistence.tables.base import Base, Code, Created, Document, Hash, Id, Updated, one_of

_OPEN = text("status IN ('in_progress', 'awaiting_async')")


class AssessmentRow(Base):
    """An assessment. Every transaction that writes about it locks this row first.

    `released_revision` is set while the current revision is held (0: the student has no result yet). NULL means that
    the student sees the current revision, so the rows of a release without the column count as released. `released_at`
    is the time since when the student sees what they see; NULL means `completed_at`. Retention sets
    `answers_deleted_at` when it deletes the answers.
    """

    __tablename__ = "assessments"
    __table_args__ = (
        one_of("status", AssessmentStatus),
        one_of("healing", Healing),
        CheckConstraint("run >= 1", name="run"),
        CheckConstraint("revision >= 0", name="revision"),
        CheckConstraint("status <> 'completed' OR revision >= 1", name="published"),
        CheckConstraint("released_revision >= 0 AND released_revision < revision", name="released_revision"),
        CheckConstraint("status <> 'failed' OR failure_reason IS NOT NULL", name="failure_reason"),
        Index(
            "assessments_in_progress_key",
            "user_id",
            "role_id",
            unique=True,
            postgresql_where=text("status = 'in_progress'"),
        ),
        Index("idx_assessments_user", "user_id"),
        Index("idx_assessments_status", "status"),
        Index("idx_assessments_user_created_at", "user_id", "created_at", "id"),
        Index("idx_assessments_organization", "organization_id", "created_at", "id"),
        Index(
            "idx_assessments_needs_review",
            "organization_id",
            "created_at",
            "id",
            postgresql_where=text("needs_review"),
        ),
        Index("idx_assessments_organization_status", "organization_id", "status", "created_at", "id"),
        Index("idx_assessments_organization_role", "organization_id", "role_id", "created_at", "id"),
        Index("idx_assessments_degraded", "organization_id", "created_at", "id", postgresql_where=text("degraded")),
        Index("idx_assessments_role_completed", "role_id", "completed_at", postgresql_where=text("revision > 0")),
        Index("idx_assessments_completed", "completed_at", "id", postgresql_where=text("revision > 0")),
        Index("idx_assessments_open", "id", postgresql_where=_OPEN),
        Index("idx_assessments_awaiting", "id", postgresql_where=text("status = 'awaiting_async'")),
        Index("idx_assessments_due", "expires_at", postgresql_where=text("status = 'in_progress'")),
        Index(
            "idx_assessments_held",
            "organization_id",
            "created_at",
            "id",
            postgresql_where=text("released_revision IS NOT NULL"),
        ),
        Index(
            "idx_assessments_answers",
            "organization_id",
            "created_at",
            "id",
            postgresql_where=text(
                "answers_deleted_at IS NULL AND status IN ('completed', 'failed') AND NOT needs_review"
            ),
        ),
        Index("idx_assessments_healing", "id", postgresql_where=text("healing = 'due'")),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    role_id: Mapped[UUID] = mapped_column(ForeignKey("role_catalog.id"))
    status: Mapped[str] = mapped_column(String(24))
    run: Mapped[int] = mapped_column(server_default=text("1"))
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    degraded: Mapped[bool] = mapped_column(server_default=text("false"))
    needs_review: Mapped[bool] = mapped_column(server_default=text("false"))
    healing: Mapped[str] = mapped_column(String(16), server_default="none")
    failure_reason: Mapped[Code | None]
    started_at: Mapped[Created]
    expires_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    released_revision: Mapped[int | None]
    released_at: Mapped[datetime | None]
    answers_deleted_at: Mapped[datetime | None]
    details: Mapped[Document | None] = mapped_column("metadata")
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class QuestionSnapshotRow(Base):
    """A question as it was when the assessment started. It never changes, so it has no foreign key to `questions`.

    `scored_version` is the later version by which an applied re-score scored the answer; null: the version asked.
    """

    __tablename__ = "assessment_question_snapshots"
    __table_args__ = (
        one_of("question_type", QuestionType),
        one_of("kind", QuestionKind),
        UniqueConstraint("assessment_id", "question_id"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_id: Mapped[UUID]
    position: Mapped[int]
    prompt: Mapped[str]
    rubric: Mapped[Document]
    question_type: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    choices: Mapped[Document | None]
    answer_format: Mapped[Document]
    weight: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    version: Mapped[Hash]
    scored_version: Mapped[Hash | None]


class ResponseRow(Base):
    """The answer to a snapshot: a string, a list of strings, or a number as its decimal text."""

    __tablename__ = "assessment_responses"
    __table_args__ = (
        UniqueConstraint("assessment_id", "question_snapshot_id"),
        Index("idx_assessment_responses_snapshot", "question_snapshot_id"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE")
    )
    answer: Mapped[Document]
    submitted_at: Mapped[Created]


class AnswerShingleRow(Base):
    """A shingle of the fingerprint of an answer. `shingle` also depends on the organization and the question."""

    __tablename__ = "answer_shingles"
    __table_args__ = (Index("idx_answer_shingles_snapshot", "question_snapshot_id"),)

    shingle: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE"), primary_key=True
    )


class AsyncJobRow(Base):
    """A step of a run. `item` is the snapshot, if the step is about one; `payload` is the step's output.

    `lost_attempts` counts attempts that ended without a record, after a crash of the worker or a timeout.
    """

    __tablename__ = "async_jobs"
    __table_args__ = (
        one_of("status", ("queued", "running", "succeeded", "failed", "stale")),
        Index("idx_async_jobs_status_next_run", "status", "next_run_at"),
        Index("idx_async_jobs_assessment", "assessment_id", "run", "revision"),
        Index("idx_async_jobs_completed", "completed_at", postgresql_where=text("completed_at IS NOT NULL")),
        Index("idx_async_jobs_running", "started_at", postgresql_where=text("status = 'running'")),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    run: Mapped[int]
    revision: Mapped[int]
    item: Mapped[UUID | None]
    job_type: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(24))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    lost_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    payload: Mapped[Document | None]
    error_payload: Mapped[Document | None]
    queued_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    next_run_at: Mapped[datetime | None]
