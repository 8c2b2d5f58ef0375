"""Tables of results: the current result of an assessment, all its revisions and the paid model replies.

Unique constraints allow one current row each; `result_revisions` stores the earlier results.
"""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Numeric, String, UniqueConstraint, Uuid, false, text
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Cents, Created, Document, Hash, Id, Ids, Names, Points, one_of


class RuleScoreRow(Base):
    """`score` is in points; `rules_applied` holds the rule, `max_points` and `fraction`."""

    __tablename__ = "rule_scores"
    __table_args__ = (
        UniqueConstraint("assessment_id", "question_snapshot_id"),
        Index("idx_rule_scores_snapshot", "question_snapshot_id"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE")
    )
    score: Mapped[Points]
    explanation: Mapped[str]
    rules_applied: Mapped[Document]
    created_at: Mapped[Created]


class EssayScoreRow(Base):
    """`score` is in points, null when the grader abstained; `response_payload` is the complete verdict."""

    __tablename__ = "essay_scores"
    __table_args__ = (
        UniqueConstraint("assessment_id", "question_snapshot_id"),
        Index("idx_essay_scores_snapshot", "question_snapshot_id"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE")
    )
    score: Mapped[Points | None]
    model: Mapped[str] = mapped_column(String(128))
    prompt_version: Mapped[Hash]
    latency_ms: Mapped[int]
    cost_cents: Mapped[Cents | None]
    response_payload: Mapped[Document]
    created_at: Mapped[Created]


class RecommendationRow(Base):
    """`revision` is the published one; `skills` is the learner's profile {skill: score} that KNN compares."""

    __tablename__ = "recommendations"
    __table_args__ = (
        one_of("status", ("pending", "ready", "failed")),
        Index("idx_recommendations_status", "status"),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), unique=True)
    revision: Mapped[int]
    summary: Mapped[str]
    degraded: Mapped[bool] = mapped_column(server_default=text("false"))
    degraded_reasons: Mapped[Names]
    status: Mapped[str] = mapped_column(String(24))
    generated_at: Mapped[datetime]
    metrics: Mapped[Document]
    skills: Mapped[Document]
    created_at: Mapped[Created]


class RecommendationItemRow(Base):
    """`features` holds the ranking features by name; `source_trace_ids` refer to the evidence."""

    __tablename__ = "recommendation_items"
    __table_args__ = (
        UniqueConstraint("recommendation_id", "credential_id"),
        Index("idx_recommendation_items_position", "recommendation_id", "position"),
    )

    id: Mapped[Id]
    recommendation_id: Mapped[UUID] = mapped_column(ForeignKey("recommendations.id", ondelete="CASCADE"))
    credential_id: Mapped[UUID] = mapped_column(ForeignKey("credential_catalog.id"))
    title: Mapped[str]
    confidence: Mapped[Decimal] = mapped_column(Numeric(5, 3))
    rationale: Mapped[str]
    source_trace_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    features: Mapped[Document]
    position: Mapped[int]


class RagTraceRow(Base):
    """A catalogue text that a search found for a gap in `skill`. Artifacts are kept while a trace refers to them."""

    __tablename__ = "rag_traces"
    __table_args__ = (
        Index("idx_rag_traces_recommendation", "recommendation_id", "position"),
        Index("idx_rag_traces_artifact", "embedding_artifact_id"),
    )

    id: Mapped[Id]
    recommendation_id: Mapped[UUID] = mapped_column(ForeignKey("recommendations.id", ondelete="CASCADE"))
    credential_id: Mapped[UUID] = mapped_column(ForeignKey("credential_catalog.id"))
    skill: Mapped[str]
    position: Mapped[int]
    source_uri: Mapped[str]
    snippet: Mapped[str]
    similarity: Mapped[Decimal] = mapped_column(Numeric(5, 3))
    embedding_artifact_id: Mapped[UUID] = mapped_column(ForeignKey("embedding_artifacts.id"))
    created_at: Mapped[Created]


class ResultRevisionRow(Base):
    """A published result, complete. The document is immutable. `held`: students and partners have never seen it."""

    __tablename__ = "result_revisions"

    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[Document]
    held: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[Created]


class ModelAnswerRow(Base):
    """A row of the ledger: a reservation with a lease before the call, the raw reply after it. One paid call per key.

    `reserved_cents` is the maximum cost of a call in progress; it counts towards the spending of the day `reserved_on`.
    `cost_cents` is the sum over the paid replies with the ids `booked_replies`: more than one after an expired lease.
    """

    __tablename__ = "model_answers"
    __table_args__ = (
        UniqueConstraint(
            "assessment_id",
            "question_snapshot_id",
            "rubric_hash",
            "prompt_hash",
            "model",
            "sample",
            "round",
            "epoch",
            "variant",
            name="model_answers_key",
        ),
        one_of("variant", ("full", "stripped")),
        one_of("status", ("intended", "answered", "failed")),
        Index("idx_model_answers_snapshot", "question_snapshot_id"),
        Index("idx_model_answers_replies", "answered_at", postgresql_where=text("raw_reply IS NOT NULL")),
    )

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE")
    )
    rubric_hash: Mapped[Hash]
    prompt_hash: Mapped[Hash]
    model: Mapped[str] = mapped_column(String(128))
    sample: Mapped[int]
    round: Mapped[int]
    epoch: Mapped[int]
    variant: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    lease_until: Mapped[datetime | None]
    request_id: Mapped[str | None]
    raw_reply: Mapped[bytes | None]
    prompt_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    latency_ms: Mapped[int | None]
    cost_cents: Mapped[Cents | None]
    booked_replies: Mapped[Ids]
    reserved_cents: Mapped[Cents] = mapped_column(server_default=text("0"))
    reserved_on: Mapped[date | None]
    created_at: Mapped[Created]
    answered_at: Mapped[datetime | None]


class GradingExamplesRow(Base):
    """The reviews whose answers a language model sees as examples while it grades an essay, in the prompt's order.

    `id` is derived from the essay, the versions, the model and the epoch. A choice is stored before the first call.
    """

    __tablename__ = "grading_examples"
    __table_args__ = (Index("idx_grading_examples_assessment", "assessment_id"),)

    id: Mapped[Id]
    assessment_id: Mapped[UUID] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"))
    review_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    created_at: Mapped[Created]


class ModelSpendingRow(Base):
    """The cost of an organization's calls on a UTC day, including the reservations of calls in progress."""

    __tablename__ = "model_spending"

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    cents: Mapped[Cents]
