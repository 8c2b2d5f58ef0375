"""Record the time of a sign-in."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# A sign-in never waits for other transactions about the user. While one holds the row, the time stays as it was.
_RECORD: Final = text("""
UPDATE users SET last_sign_in_at = clock_timestamp()
WHERE id = (SELECT id FROM users WHERE id = :user_id FOR NO KEY UPDATE SKIP LOCKED)
""")


async def record_sign_in(session: AsyncSession, user_id: UUID) -> None:
    """Set the user's last sign-in to now. The account does not count as changed."""
    await session.execute(_RECORD, {"user_id": user_id})
