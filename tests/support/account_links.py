"""Rows of links with which a person sets a password."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from persistence.tables import AccountLinkRow


async def a_link(session: AsyncSession, user_id: UUID, **columns: Any) -> UUID:
    """Insert a link that waits to be mailed. Return its id."""
    link_id = uuid4()
    values = {
        "id": link_id,
        "user_id": user_id,
        "token_version": 0,
        "mail": {"subject": "A link", "text": "Open https://learn.example/set-password#{token}\n"},
        "mail_status": "pending",
        "expires_at": datetime.now(UTC) + timedelta(hours=24),
    }
    await session.execute(insert(AccountLinkRow).values(values | columns))
    return link_id
