"""Whether a token's holder is still who the token says: revoked and demoted people are refused within 30 s."""

import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from api.tokens import Principal
from domain.errors import Unauthenticated

TTL_S: Final = 30.0
MAX_CACHED: Final = 10_000


class Principals:
    """Compares principals with their stored state, remembered for `ttl_s` seconds in this process.

    `load` gives the principal as stored now, None where the person is gone or not active.
    """

    def __init__(
        self,
        load: Callable[[UUID], Awaitable[Principal | None]],
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._ttl_s = ttl_s
        self._clock = clock
        self._cached: dict[UUID, tuple[float, Principal | None]] = {}

    async def check(self, principal: Principal) -> None:
        """Raises Unauthenticated unless role, organization and token version are still those of the token."""
        if await self._current(principal.user_id) != principal:
            raise Unauthenticated("A valid bearer token is required")

    async def _current(self, user_id: UUID) -> Principal | None:
        now = self._clock()
        until, current = self._cached.get(user_id, (0.0, None))
        if now < until:
            return current
        current = await self._load(user_id)
        if len(self._cached) >= MAX_CACHED:
            self._cached.clear()  # rare, and cheaper to reason about than an eviction order
        self._cached[user_id] = (now + self._ttl_s, current)
        return current
