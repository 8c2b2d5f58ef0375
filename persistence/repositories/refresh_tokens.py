"""Refresh tokens. Each works once; reusing one revokes the whole family of tokens that started with its login."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, and_, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tokens import hash_of, new_token
from persistence.queries.views import Actor, Holder
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.sign_ins import record_sign_in
from persistence.tables import RefreshTokenRow, UserRow
from persistence.tables.base import table_of

_tokens: Final = table_of(RefreshTokenRow)
_users: Final = table_of(UserRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """The user as stored now, and the token that replaces the used one."""

    holder: Holder
    token: str = field(repr=False)


class RefreshTokens(Repository):
    """Write tokens in the caller's transaction. Only hashes are stored.

    Each call locks the user first, so that tokens of a family change one at a time and none is created while the user
    is being changed.
    """

    async def start(self, holder: Holder, lifetime: timedelta) -> str | None:
        """Create the first token of a new family, which ends after `lifetime`; None when the user has changed since."""
        token = new_token()
        person = (
            select(
                func.gen_random_uuid(), _users.c.id, literal(uuid4()), literal(hash_of(token)), func.now() + lifetime
            )
            .where(
                _users.c.id == holder.user_id,
                _users.c.status == "active",
                _users.c.token_version == holder.token_version,
            )
            .with_for_update(read=True)  # in share mode: other transactions may read the user
        )
        columns = ["id", "user_id", "family", "token_hash", "expires_at"]
        made = await self._session.execute(insert(_tokens).from_select(columns, person).returning(_tokens.c.id))
        if made.one_or_none() is None:
            return None
        await record_sign_in(self._session, holder.user_id)
        return token

    async def rotate(self, token: str) -> Refreshed | None:
        """Mark the token as used and return the next one. None for a used, revoked, expired or unknown token.

        A used token revokes its family: two parties hold the same token, and it is unknown which one stole it. Commit
        in every case.
        """
        found = await self._locked(token)
        if found is None:
            return None
        if found.used_at is not None:
            await self._revoke_family(found, "session.reused")
            return None
        if not found.good:
            return None
        return Refreshed(
            holder=Holder(
                user_id=found.user_id,
                role=found.role,
                organization_id=found.organization_id,
                token_version=found.token_version,
            ),
            token=await self._replace(found.id, found.user_id, found.family, found.expires_at),
        )

    async def end(self, token: str) -> None:
        """Revoke the token's family. A used, revoked or unknown token changes nothing."""
        found = await self._locked(token)
        if found is not None:
            user = Actor(id=found.user_id, role=audit.role_of(found.role, found.organization_id))
            await self._revoke_family(found, "session.ended", user)

    async def _locked(self, token: str) -> Row[Any] | None:
        """Lock the user and then read the token, so that concurrent changes are visible."""
        mine = _tokens.c.token_hash == hash_of(token)
        person = select(_users.c.id).join(_tokens, _tokens.c.user_id == _users.c.id).where(mine)
        if await self._session.scalar(person.with_for_update(of=_users, key_share=True)) is None:
            return None
        good = and_(
            _tokens.c.revoked_at.is_(None),
            _tokens.c.expires_at > func.clock_timestamp(),
            _users.c.status == "active",
        )
        statement = (
            select(_tokens, _users.c.role, _users.c.organization_id, _users.c.token_version, good.label("good"))
            .join(_users, _users.c.id == _tokens.c.user_id)
            .where(mine)
        )
        return (await self._session.execute(statement)).one()

    async def _replace(self, token_id: UUID, user_id: UUID, family: UUID, expires_at: datetime) -> str:
        token = new_token()
        used = update(_tokens).where(_tokens.c.id == token_id).values(used_at=func.clock_timestamp())
        await self._session.execute(used)
        await self._session.execute(
            insert(_tokens).values(
                id=uuid4(), user_id=user_id, family=family, token_hash=hash_of(token), expires_at=expires_at
            )
        )
        return token

    async def _revoke_family(self, found: Row[Any], action: str, actor: Actor | None = None) -> None:
        """Revoke the family; write an audit row if a token was still valid."""
        revoked = (
            update(_tokens)
            .where(_tokens.c.family == found.family, _tokens.c.revoked_at.is_(None))
            .values(revoked_at=func.clock_timestamp())
            .returning(_tokens.c.id)
        )
        if (await self._session.scalars(revoked)).all():
            about = (action, "session", found.family, found.organization_id)
            await audit.record(self._session, actor, *about, user_id=found.user_id)


async def revoke_all(session: AsyncSession, user_id: UUID) -> None:
    """Revoke all families of a user. The caller has locked the user."""
    await session.execute(
        update(_tokens)
        .where(_tokens.c.user_id == user_id, _tokens.c.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
    )
