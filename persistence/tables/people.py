"""Tables of organizations, users, API keys and sessions."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Numeric, String, Text, false, literal_column, text
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import Mapped, mapped_column

from domain.accommodations import MAX_EXTRA_MINUTES, MAX_TIME_FACTOR
from persistence.tables.base import Base, Created, Document, Hash, Id, Updated, one_of


class OrganizationRow(Base):
    """A training provider. `answers_kept_days`: retention of answers after the result, in days; null keeps them.

    `settings` holds an OrganizationSettings; missing keys have their default.
    """

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("answers_kept_days > 0", name="answers_kept_days"),
        Index("idx_organizations_created_at", "created_at", "id"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(128))
    answers_kept_days: Mapped[int | None]
    settings: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[Created]


class UserRow(Base):
    """A user. `organization_id` null: a platform admin. The row of an erased user stays with blank fields.

    `must_change_password` is true after an administrator has set the password. `external_id` is the user's id in the
    organization's own systems. `language` is the one that the user has chosen for the web pages, as a locale of Babel.
    `time_factor` and `extra_minutes` are the user's TimeAccommodation. `last_sign_in_at` is null until the first
    sign-in that is recorded.
    """

    __tablename__ = "users"
    __table_args__ = (
        one_of("role", ("student", "advisor", "admin")),
        one_of("status", ("active", "disabled", "erasing", "erased")),
        CheckConstraint("organization_id IS NOT NULL OR role = 'admin'", name="organization"),
        CheckConstraint(f"time_factor BETWEEN 1 AND {MAX_TIME_FACTOR}", name="time_factor"),
        CheckConstraint(f"extra_minutes BETWEEN 0 AND {MAX_EXTRA_MINUTES}", name="extra_minutes"),
        Index("idx_users_created_at", "created_at", "id"),
        Index("idx_users_organization", "organization_id", "created_at", "id"),
        Index("idx_users_role", "organization_id", "role", "created_at", "id"),
        Index("idx_users_status", "organization_id", "status", "created_at", "id"),
        Index("idx_users_name", "organization_id", text("(coalesce(CAST(name AS citext), email))"), "created_at", "id"),
        Index(
            "idx_users_last_sign_in",
            "organization_id",
            text("(coalesce(last_sign_in_at, to_timestamp(0)))"),
            "created_at",
            "id",
        ),
        Index("idx_users_admins", "created_at", "id", postgresql_where=text("role = 'admin'")),
        Index("idx_users_erasing", "id", postgresql_where=text("status = 'erasing'")),
        Index(
            "users_external_id_key",
            "organization_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(
            "idx_users_search",
            "name",
            literal_column("CAST(email AS text)").label("address"),
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(("name", "address"), "gin_trgm_ops"),
        ),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str] = mapped_column(CITEXT, unique=True)
    name: Mapped[str | None] = mapped_column(String(200))
    external_id: Mapped[str | None] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(128))
    must_change_password: Mapped[bool] = mapped_column(server_default=false())
    token_version: Mapped[int] = mapped_column(server_default=text("0"))
    role: Mapped[str] = mapped_column(String(32))
    profile: Mapped[Document | None]
    time_factor: Mapped[Decimal] = mapped_column(Numeric(3, 2), server_default=text("1"))
    extra_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    status: Mapped[str] = mapped_column(String(16), server_default="active")
    language: Mapped[str | None] = mapped_column(String(35))
    last_sign_in_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class ApiKeyRow(Base):
    """An organization's API key, stored as a hash. `prefix` is the start of the key, so that admins recognize it."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("cardinality(scopes) > 0", name="scopes"),
        Index("idx_api_keys_organization", "organization_id", "created_at", "id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[Hash] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RefreshTokenRow(Base):
    """A refresh token, stored as a hash. Using a used token again revokes its whole family."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("idx_refresh_tokens_user", "user_id"),
        Index("idx_refresh_tokens_family", "family"),
        Index("idx_refresh_tokens_expires_at", "expires_at"),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family: Mapped[UUID]
    token_hash: Mapped[Hash] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[Created]
