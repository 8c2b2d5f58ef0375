"""Who people are now, remembered for 30 s: revoked and demoted people are refused within a minute, in every process."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from uuid import UUID

from api.security.tokens import Principal, refused

TTL_S: Final = 30.0
"""The rest of the minute is for a slow database: what is remembered was read before its time began to count."""
MAX_CACHED: Final = 10_000

Subject: TypeAlias = UUID | str
"""A person by our id or by the normal form of an e-mail address."""


class Principals:
    """Compares principals with their stored state, remembered for `ttl_s` seconds in this process.

    `load` gives the principal as stored now, None where the person is gone or not active.
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
        """The principal as stored now.

        Raises:
            Unauthenticated: role, organization or token version is not that of the token any more.
        """
        current = await self._current(principal.user_id)
        if current is not None and current.version < principal.version:  # another process has made a change since
            self._cached.pop(principal.user_id, None)
            current = await self._current(principal.user_id)
        if current is None or current != principal:
            raise refused()
        return current

    async def find(self, subject: Subject) -> Principal:
        """The active person that somebody else vouches for.

        Raises:
            Unauthenticated: there is no such person, or they are not active.
        """
        if (principal := await self._current(subject)) is None:
            raise refused()
        return principal

    def forget(self, user_id: UUID) -> None:
        """So that a change made by this process counts here at once."""
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
        if forgotten != self._forgotten:  # what was read may be from before the change
            return current
        if len(self._cached) >= MAX_CACHED:
            self._cached.clear()  # rare, and cheaper to reason about than an eviction order
        self._cached[subject] = (now + self._ttl_s, current)
        return current
