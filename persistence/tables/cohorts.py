"""Tables of cohorts: named groups of an organization's students."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from persistence.tables.base import Base, Created, Id, Updated


class CohortRow(Base):
    __tablename__ = "cohorts"
    __table_args__ = (
        UniqueConstraint("organization_id", "name"),
        Index("idx_cohorts_organization", "organization_id", "created_at", "id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class CohortMemberRow(Base):
    """A student in a cohort. `created_at` is when the student was added."""

    __tablename__ = "cohort_members"
    __table_args__ = (
        Index("idx_cohort_members_added", "cohort_id", "created_at", "user_id"),
        Index("idx_cohort_members_user", "user_id"),
    )

    cohort_id: Mapped[UUID] = mapped_column(ForeignKey("cohorts.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[Created]
