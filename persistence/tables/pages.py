"""Tables of the web pages: sessions of browsers, and questions that a student has flagged."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Created, Hash, Id


class WebSessionRow(Base):
    """A browser's session, stored as the hash of its token. It ends when the user's `token_version` changes."""

    __tablename__ = "web_sessions"
    __table_args__ = (
        Index("idx_web_sessions_user", "user_id"),
        Index("idx_web_sessions_expires_at", "expires_at"),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[Hash] = mapped_column(unique=True)
    token_version: Mapped[int]
    created_at: Mapped[Created]
    last_used_at: Mapped[Created]
    expires_at: Mapped[datetime]


class FlaggedQuestionRow(Base):
    """A question of an assessment that the student wants to look at again before the hand-in."""

    __tablename__ = "flagged_questions"

    question_snapshot_id: Mapped[UUID] = mapped_column(
        ForeignKey("assessment_question_snapshots.id", ondelete="CASCADE"), primary_key=True
    )
    flagged_at: Mapped[Created]
