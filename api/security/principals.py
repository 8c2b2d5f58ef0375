"""Cache of users' current roles for 30 s: revoked tokens and changed roles take effect within a minute everywhere."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from uuid import UUID

from api.security.tokens import Principal, invalid_token

TTL_S: Final = 30.0
"""The rest of the minute is reserve for a slow database. The age of an entry counts from the start of its read."""
MAX_CACHED: Final = 10_000

Subject: TypeAlias = UUID | str
"""A user's id, or the normal form of their e-mail address."""


class Principals:
    """Compare principals with their stored state, which is cached in this process for `ttl_s` seconds.

    `load` returns the stored principal, or None if the user does not exist or is not active.
    """

    def __init__(
        self,
        load: Callable[[Subject], Awaitable[Principal | None]],
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._ttl_s = ttl_s
        self._clock = clock
        self._cached: dict[Subject, tuple[float, Principal | None]] = {}
        self._forgotten = 0

    async def check(self, principal: Principal) -> Principal:
        """Return the stored principal.

        Raises:
            Unauthenticated: the role, organization or token version differs from the token's.
        """
        current = await self._current(principal.user_id)
        if current is not None and current.version < principal.version:  # another process changed the user
            self._cached.pop(principal.user_id, None)
            current = await self._current(principal.user_id)
        if current is None or current != principal:
            raise invalid_token()
        return current

    async def find(self, subject: Subject) -> Principal:
        """Return the active user that an external issuer has authenticated.

        Raises:
            Unauthenticated: the user does not exist or is not active.
        """
        if (principal := await self._current(subject)) is None:
            raise invalid_token()
        return principal

    def forget(self, user_id: UUID) -> None:
        """Drop the user from the cache, so that a change by this process takes effect at once."""
        self._forgotten += 1
        found = [subject for subject, (_, known) in self._cached.items() if known and known.user_id == user_id]
        for subject in (user_id, *found):
            self._cached.pop(subject, None)

    async def _current(self, subject: Subject) -> Principal | None:
        now = self._clock()
        until, current = self._cached.get(subject, (0.0, None))
        if now < until:
            return current
        forgotten = self._forgotten
        current = await self._load(subject)
        if forgotten != self._forgotten:  # the read may have happened before the change: do not cache it
            return current
        if len(self._cached) >= MAX_CACHED:
            self._cached.clear()  # rare, and simpler than an eviction order
        self._cached[subject] = (now + self._ttl_s, current)
        return current
