"""The table of links with which a person sets a password."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from domain.account_links import MailStatus
from persistence.tables.base import Base, Created, Document, Id, one_of


class AccountLinkRow(Base):
    """A person's newest link. It stops working when the user's `token_version` changes.

    `token_hashes` has a hash for each token of the link: one, or one for each attempt at sending the mail. `mail` is
    the text of a mail that is not sent yet, without a token. `mail_status` null: the link was shown to the admin.
    """

    __tablename__ = "account_links"
    __table_args__ = (
        one_of("mail_status", tuple(MailStatus)),
        Index("idx_account_links_tokens", "token_hashes", postgresql_using="gin"),
        Index("idx_account_links_expires_at", "expires_at"),
        Index("idx_account_links_unsent", "id", postgresql_where=text("mail_status = 'pending'")),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    token_version: Mapped[int]
    token_hashes: Mapped[list[str]] = mapped_column(ARRAY(String(64)), server_default=text("'{}'"))
    mail: Mapped[Document | None]
    mail_status: Mapped[str | None] = mapped_column(String(16))
    mail_ended_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
