"""Authenticate API keys, with a cache of 30 s: a revoked key is rejected within a minute in every process."""

import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from api.security.principals import MAX_CACHED, TTL_S
from api.security.tokens import Principal, UserRole, invalid_token
from domain.tokens import hash_of
from persistence.repositories.api_keys import KEY_PREFIX, ApiKeyHolder

KEY: Final = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{43}}")


class ApiKeyPrincipals:
    """Cache of API key holders. `load` finds a valid key by its hash; the result is cached for `ttl_s` seconds."""

    def __init__(
        self,
        load: Callable[[str], Awaitable[ApiKeyHolder | None]],
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._ttl_s = ttl_s
        self._clock = clock
        self._cached: dict[str, tuple[float, ApiKeyHolder]] = {}

    async def principal(self, key: str) -> Principal:
        """Return the principal of an API key.

        Raises:
            Unauthenticated: the key does not exist, is revoked or has expired.
        """
        if not KEY.fullmatch(key):
            raise invalid_token()
        holder = await self._holder(hash_of(key))
        if holder is None or holder.expires_at <= datetime.now(UTC):
            raise invalid_token()
        return Principal(
            user_id=holder.api_key_id,
            role=UserRole.API_KEY,
            organization_id=holder.organization_id,
            version=0,
            scopes=frozenset(holder.scopes),
        )

    def forget(self) -> None:
        """Clear the cache after this process revoked a key. Revocations are rare, so all entries are dropped."""
        self._cached = {}

    async def _holder(self, key_hash: str) -> ApiKeyHolder | None:
        now, cached = self._clock(), self._cached
        until, holder = cached.get(key_hash, (0.0, None))
        if now < until:
            return holder
        if (holder := await self._load(key_hash)) is None:
            cached.pop(key_hash, None)
            return None
        if len(cached) >= MAX_CACHED:
            cached.clear()
        cached[key_hash] = (now + self._ttl_s, holder)  # `forget` may have replaced the dictionary during the load
        return holder
