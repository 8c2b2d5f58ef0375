"""API keys authenticate an organization's systems. Only a hash of a key is stored."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, insert, literal, select, text, update

from domain.errors import Conflict, NotFound, Unauthenticated
from domain.tokens import hash_of, new_token
from persistence.queries.reader import Reader, Selected
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.tables import ApiKeyRow, OrganizationRow, UserRow
from persistence.tables.base import table_of

KEY_PREFIX: Final = "mck_"
SHOWN_CHARS: Final = 12
"""The number of stored characters of a key, so that an admin recognizes it."""
MAX_KEYS: Final = 50
"""Maximum per organization; revoked keys do not count."""
USED_EVERY: Final = timedelta(minutes=5)
"""The precision of `last_used_at`: it is not written on every request."""

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
    """A key without its secret. `prefix` is the start of the key."""

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
    """The identity and scopes of a valid key."""

    api_key_id: UUID
    organization_id: UUID
    scopes: list[str]
    expires_at: datetime


class ApiKeys(Repository):
    """Write keys and their audit rows in the caller's transaction."""

    async def create(self, viewer: AccessScope, admin: Actor, wanted: NewApiKey) -> IssuedApiKey:
        """Create a key.

        Raises:
            Unauthenticated: the admin was disabled or is being erased. A process may still cache their account.
            Conflict: the organization has the maximum number of keys.
        """
        await self._check_admin(admin)
        await self._check_limit(viewer.organization_id)
        key = KEY_PREFIX + new_token()
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
        about = ("api_key.created", "api_key", view.api_key_id, viewer.organization_id)
        await audit.record(self._session, admin, *about, scopes=view.scopes)
        return IssuedApiKey(view=view, key=key)

    async def revoke(self, api_key_id: UUID, viewer: AccessScope, admin: Actor) -> None:
        """Revoke a key.

        Raises:
            NotFound: the key does not exist, is already revoked, or is outside the viewer's scope.
        """
        revoked = update(_keys).where(_keys.c.id == api_key_id, *_of(viewer)).values(revoked_at=func.clock_timestamp())
        if await self._session.scalar(revoked.returning(_keys.c.id)) is None:
            raise NotFound("No such API key")
        await audit.record(self._session, admin, "api_key.revoked", "api_key", api_key_id, viewer.organization_id)

    async def _check_admin(self, admin: Actor) -> None:
        """Lock the admin's account, because a key outlives the admin's session."""
        status = select(UserRow.status).where(UserRow.id == admin.id).with_for_update(read=True)
        if await self._session.scalar(status) != "active":
            raise Unauthenticated("The account is not active")

    async def _check_limit(self, organization_id: UUID) -> None:
        """Lock the organization, so that two concurrent requests cannot exceed the maximum."""
        await self._session.execute(
            select(OrganizationRow.id).where(OrganizationRow.id == organization_id).with_for_update(key_share=True)
        )
        taken = select(func.count()).where(_keys.c.organization_id == organization_id, _keys.c.revoked_at.is_(None))
        if (await self._session.scalar(taken) or 0) >= MAX_KEYS:
            raise Conflict(f"An organization has at most {MAX_KEYS} API keys. Revoke one that is no longer used")


class ApiKeyQueries(Reader):
    async def keys(self, viewer: AccessScope) -> list[ApiKeyView]:
        """Return the organization's keys that are not revoked, oldest first."""
        mine: Selected = select(*_COLUMNS).where(*_of(viewer))
        return await self._all(ApiKeyView, mine.order_by(_keys.c.created_at, _keys.c.id))

    async def use(self, key_hash: str) -> ApiKeyHolder | None:
        """Return the holder of a valid key and record the use; None for an unknown, revoked or expired key."""
        async with self._connection() as connection:
            found = await connection.execute(_USE, {"key_hash": key_hash, "every": USED_EVERY})
            row = found.mappings().one_or_none()
        return None if row is None else ApiKeyHolder(**row)


def _of(viewer: AccessScope) -> tuple[ColumnElement[bool], ...]:
    return _keys.c.organization_id == viewer.organization_id, _keys.c.revoked_at.is_(None)
