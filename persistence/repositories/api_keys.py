"""API keys: what machines of an organization log in with. Only a hash of a key is stored."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, NotFound
from persistence.queries.assessments import Reader, Selected
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import audit
from persistence.tables import ApiKeyRow, OrganizationRow
from persistence.tables.base import table_of

KEY_PREFIX: Final = "mck_"
SECRET_BYTES: Final = 32
SHOWN_CHARS: Final = 12
"""How many characters of a key are stored, so that an admin recognizes it."""
MAX_KEYS: Final = 50
"""Of one organization; revoked ones do not count."""
USED_EVERY: Final = timedelta(minutes=5)
"""`last_used_at` is as exact as this, which saves a write per request."""

_keys: Final = table_of(ApiKeyRow)
_COLUMNS: Final = (
    _keys.c.id.label("api_key_id"),
    _keys.c.name,
    _keys.c.prefix,
    _keys.c.scopes,
    _keys.c.created_at,
    _keys.c.expires_at,
    _keys.c.last_used_at,
)

_USE: Final = text("""
WITH found AS (
  SELECT id, organization_id, scopes, expires_at FROM api_keys
  WHERE key_hash = :key_hash AND revoked_at IS NULL AND expires_at > clock_timestamp()
), used AS (
  UPDATE api_keys SET last_used_at = clock_timestamp() FROM found
  WHERE api_keys.id = found.id
    AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < clock_timestamp() - CAST(:every AS interval))
)
SELECT id AS api_key_id, organization_id, scopes, expires_at FROM found
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyView:
    """A key without its secret. `prefix` is how it begins."""

    api_key_id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedApiKey:
    """A new key with its secret, which cannot be read again."""

    view: ApiKeyView
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    name: str
    scopes: tuple[str, ...]
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyHolder:
    """What a key that counts stands for."""

    api_key_id: UUID
    organization_id: UUID
    scopes: list[str]
    expires_at: datetime


def hash_of(key: str) -> str:
    """A plain SHA-256: a key is 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeys:
    """Writes of one transaction, each with its audit row; the caller commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, viewer: AccessScope, admin: Actor, wanted: NewApiKey) -> IssuedApiKey:
        """Raises Conflict where the organization has as many keys as it may."""
        await self._check_room(viewer.organization_id)
        key = KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        created = insert(_keys).values(
            id=uuid4(),
            organization_id=viewer.organization_id,
            name=wanted.name,
            prefix=key[:SHOWN_CHARS],
            key_hash=hash_of(key),
            scopes=list(wanted.scopes),
            expires_at=func.clock_timestamp() + literal(wanted.lifetime),
        )
        view = ApiKeyView(**(await self._session.execute(created.returning(*_COLUMNS))).mappings().one())
        await self._record("api_key.created", view.api_key_id, viewer, admin, scopes=view.scopes)
        return IssuedApiKey(view=view, key=key)

    async def revoke(self, api_key_id: UUID, viewer: AccessScope, admin: Actor) -> None:
        """Raises NotFound: there is no such key, it is revoked already, or it is not the viewer's."""
        revoked = update(_keys).where(_keys.c.id == api_key_id, *_of(viewer)).values(revoked_at=func.clock_timestamp())
        if await self._session.scalar(revoked.returning(_keys.c.id)) is None:
            raise NotFound("No such API key")
        await self._record("api_key.revoked", api_key_id, viewer, admin)

    async def _check_room(self, organization_id: UUID) -> None:
        """Locks the organization, so that two requests cannot both take the last place."""
        await self._session.execute(
            select(OrganizationRow.id).where(OrganizationRow.id == organization_id).with_for_update(key_share=True)
        )
        taken = select(func.count()).where(_keys.c.organization_id == organization_id, _keys.c.revoked_at.is_(None))
        if (await self._session.scalar(taken) or 0) >= MAX_KEYS:
            raise Conflict(f"An organization has at most {MAX_KEYS} API keys; revoke one that is not used any more")

    async def _record(
        self, action: str, api_key_id: UUID, viewer: AccessScope, admin: Actor, **details: object
    ) -> None:
        await audit.record(
            self._session,
            action,
            "api_key",
            api_key_id,
            organization_id=viewer.organization_id,
            actor_id=admin.id,
            actor_role=admin.role,
            details=details or None,
        )


class ApiKeyQueries(Reader):
    async def keys(self, viewer: AccessScope) -> list[ApiKeyView]:
        """The organization's keys that are not revoked, oldest first."""
        mine: Selected = select(*_COLUMNS).where(*_of(viewer))
        return await self._all(ApiKeyView, mine.order_by(_keys.c.created_at, _keys.c.id))

    async def use(self, key_hash: str) -> ApiKeyHolder | None:
        """What the key stands for; None where there is none, or it is revoked or expired. Notes the use."""
        async with self._connection() as connection:
            found = await connection.execute(_USE, {"key_hash": key_hash, "every": USED_EVERY})
            row = found.mappings().one_or_none()
        return None if row is None else ApiKeyHolder(**row)


def _of(viewer: AccessScope) -> tuple[ColumnElement[bool], ...]:
    return _keys.c.organization_id == viewer.organization_id, _keys.c.revoked_at.is_(None)
