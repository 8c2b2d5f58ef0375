"""Sessions of browsers. Only the hash of a session's token is stored."""

from datetime import timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import delete, func, insert, literal, select, text

from domain.tokens import hash_of, new_token
from persistence.queries.reader import Reader
from persistence.queries.views import Holder, WebSessionView
from persistence.repositories.base import Repository
from persistence.repositories.sign_ins import record_sign_in
from persistence.tables import UserRow, WebSessionRow
from persistence.tables.base import table_of

IDLE: Final = timedelta(minutes=30)
LIFETIME: Final = timedelta(hours=12)
USED_EVERY: Final = timedelta(minutes=1)
"""`last_used_at` changes at most once in this time, so that reading pages rarely writes."""

_sessions: Final = table_of(WebSessionRow)
_users: Final = table_of(UserRow)

_USE: Final = text("""
WITH found AS (
  SELECT session.id, session.last_used_at, session.expires_at, users.id AS user_id, users.role, users.organization_id,
    users.token_version, users.must_change_password, CAST(users.email AS text) AS email,
    users.language
  FROM web_sessions AS session JOIN users ON users.id = session.user_id
  WHERE session.token_hash = :token_hash AND session.expires_at > clock_timestamp()
    AND session.last_used_at > clock_timestamp() - CAST(:idle AS interval)
    AND users.status = 'active' AND users.token_version = session.token_version
), used AS (
  UPDATE web_sessions SET last_used_at = clock_timestamp()
  WHERE id = (SELECT id FROM found WHERE last_used_at < clock_timestamp() - CAST(:every AS interval))
)
SELECT user_id, role, organization_id, token_version, must_change_password, email, language, expires_at FROM found
""")

_DELETE_EXPIRED: Final = text("""
DELETE FROM web_sessions WHERE id IN (
  SELECT id FROM web_sessions WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)
""")


class WebSessions(Repository):
    """Write sessions in the caller's transaction."""

    async def start(self, holder: Holder) -> str | None:
        """Create a session and return its token; None if the user has changed since `holder` was read.

        Some expired sessions, of any users, are deleted on this occasion.
        """
        token = new_token()
        await self._session.execute(_DELETE_EXPIRED)
        person = (
            select(
                literal(uuid4()),
                _users.c.id,
                literal(hash_of(token)),
                _users.c.token_version,
                func.clock_timestamp() + literal(LIFETIME),
            )
            .where(
                _users.c.id == holder.user_id,
                _users.c.status == "active",
                _users.c.token_version == holder.token_version,
            )
            .with_for_update(read=True)
        )
        columns = ["id", "user_id", "token_hash", "token_version", "expires_at"]
        made = await self._session.execute(insert(_sessions).from_select(columns, person).returning(_sessions.c.id))
        if made.one_or_none() is None:
            return None
        await record_sign_in(self._session, holder.user_id)
        return token

    async def end(self, token: str) -> None:
        """Delete the session of this token, if there is one."""
        await self._session.execute(delete(_sessions).where(_sessions.c.token_hash == hash_of(token)))


class WebSessionQueries(Reader):
    async def use(self, token: str) -> WebSessionView | None:
        """Return the valid session of this token and record its use.

        None: it is unknown, expired or idle for too long, or its user has changed.
        """
        parameters = {"token_hash": hash_of(token), "idle": IDLE, "every": USED_EVERY}
        async with self._connection() as connection:
            row = (await connection.execute(_USE, parameters)).mappings().one_or_none()
        return None if row is None else WebSessionView(**row)
