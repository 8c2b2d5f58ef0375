"""Tables of content: roles, questions, credentials, their versions and their vectors.

Content is never deleted, because results refer to it. Withdrawn content becomes inactive.
"""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from pgvector.sqlalchemy import Vector
from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from domain.assessments.attempts import MAX_ATTEMPTS, MAX_COOL_DOWN_HOURS, Reveal
from domain.assessments.questions import QuestionKind, QuestionType
from domain.recommending.roles import CredentialLevel
from persistence.tables.base import Base, Created, Document, Hash, Id, Ids, Names, Updated, one_of

DIMENSIONS = 384
SEARCH_TEXT = "setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'B')"


class RoleRow(Base):
    """A role track. `skills_profile` lists its skill targets; `prerequisites` are ids of other roles.

    `reveal`, `attempts` and `cool_down_hours` are its rules for attempts.
    """

    __tablename__ = "role_catalog"
    __table_args__ = (
        one_of("reveal", Reveal),
        CheckConstraint(f"attempts BETWEEN 1 AND {MAX_ATTEMPTS}", name="attempts"),
        CheckConstraint(f"cool_down_hours BETWEEN 0 AND {MAX_COOL_DOWN_HOURS}", name="cool_down_hours"),
        CheckConstraint("reveal <> 'after_last_attempt' OR attempts IS NOT NULL", name="last_attempt"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str]
    skills_profile: Mapped[Document]
    prerequisites: Mapped[Ids]
    reveal: Mapped[str] = mapped_column(String(24), server_default=Reveal.ALWAYS)
    attempts: Mapped[int | None]
    cool_down_hours: Mapped[int] = mapped_column(server_default=text("0"))
    version: Mapped[Hash]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class QuestionRow(Base):
    """A question of a role; `position` orders the role's questions."""

    __tablename__ = "questions"
    __table_args__ = (
        one_of("question_type", QuestionType),
        one_of("kind", QuestionKind),
        Index("idx_questions_role", "role_id", "position"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(64), unique=True)
    role_id: Mapped[UUID] = mapped_column(ForeignKey("role_catalog.id"))
    position: Mapped[int]
    question_type: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    prompt: Mapped[str]
    choices: Mapped[Document | None]
    answer_format: Mapped[Document]
    rubric: Mapped[Document]
    weight: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    version: Mapped[Hash]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class CredentialRow(Base):
    """A micro-credential. `text_hash` is the hash of the text that is embedded; `search` is its full-text vector."""

    __tablename__ = "credential_catalog"
    __table_args__ = (
        one_of("level", CredentialLevel),
        CheckConstraint("hours > 0", name="hours"),
        Index("idx_credential_catalog_search", "search", postgresql_using="gin"),
        Index("idx_credential_catalog_skills", "skills", postgresql_using="gin"),
        Index("idx_credential_catalog_title", "title", "id"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(128), unique=True)
    title: Mapped[str]
    description: Mapped[str]
    skills: Mapped[Names]
    level: Mapped[str] = mapped_column(String(16))
    hours: Mapped[Decimal] = mapped_column(Numeric(7, 2))
    provider: Mapped[str]
    source_uri: Mapped[str]
    prerequisites: Mapped[Ids]
    version: Mapped[Hash]
    text_hash: Mapped[Hash]
    details: Mapped[Document | None] = mapped_column("metadata")
    search: Mapped[str] = mapped_column(TSVECTOR, Computed(SEARCH_TEXT, persisted=True))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class EmbeddingArtifactRow(Base):
    """The vector of a text by a model. Immutable, so that an old trace still refers to the vector that found it."""

    __tablename__ = "embedding_artifacts"
    __table_args__ = (
        UniqueConstraint("entity_type", "entity_id", "provider", "model", "text_hash", name="embedding_artifacts_key"),
        Index("idx_embedding_artifacts_provider", "provider"),
        Index(
            "idx_embedding_artifacts_vector",
            "vector",
            postgresql_using="hnsw",
            postgresql_ops={"vector": "vector_cosine_ops"},
        ),
    )

    id: Mapped[Id]
    entity_type: Mapped[str] = mapped_column(String(32))
    entity_id: Mapped[UUID]
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(128))
    text_hash: Mapped[Hash]
    vector: Mapped[list[float]] = mapped_column(Vector(DIMENSIONS))
    raw_embedding: Mapped[bytes | None]
    created_at: Mapped[Created]


class LearnerCredentialRow(Base):
    """A credential that a learner has already earned."""

    __tablename__ = "learner_credentials"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    credential_id: Mapped[UUID] = mapped_column(ForeignKey("credential_catalog.id"), primary_key=True)
    earned_at: Mapped[date]
    created_at: Mapped[Created]


class ContentVersionRow(Base):
    """A complete version of a role, question or credential. Every loaded version is stored."""

    __tablename__ = "content_versions"
    __table_args__ = (one_of("entity_type", ("role", "question", "credential")),)

    entity_type: Mapped[str] = mapped_column(String(32), primary_key=True)
    entity_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[Hash] = mapped_column(primary_key=True)
    document: Mapped[Document]
    created_at: Mapped[Created]


class CatalogImportRow(Base):
    """An import of credentials: all rows or none, with a report per row.

    `credential_ids` are the added or changed credentials. The import ends when each of them has a vector.
    """

    __tablename__ = "catalog_imports"
    __table_args__ = (
        one_of("status", ("queued", "running", "succeeded", "failed")),
        Index("idx_catalog_imports_unfinished", "id", postgresql_where=text("status IN ('queued', 'running')")),
    )

    id: Mapped[Id]
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    status: Mapped[str] = mapped_column(String(16))
    row_count: Mapped[int]
    report: Mapped[Document | None]
    credential_ids: Mapped[Ids]
    created_at: Mapped[Created]
    completed_at: Mapped[datetime | None]


class CatalogSearchRow(Base):
    """The words of a catalogue search, until a worker reads them. Workflow histories hold the id, never the words."""

    __tablename__ = "catalog_searches"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    id: Mapped[Id]
    words: Mapped[str]
    created_at: Mapped[Created]
