"""Hash and check passwords with bcrypt off the event loop, with a bounded number of calls running and waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from functools import partial
from typing import Final, TypeVar

import bcrypt

from domain.errors import TemporarilyUnavailable
from domain.passwords import normalize_password, spellings

COST: Final = 12
CONCURRENCY: Final = 2
MAX_PENDING: Final = 16
"""A check takes 0.25 s and two run at a time, so the last one in the queue waits two seconds."""
_DUMMY_HASH: Final = b"$2b$12$Ou2GneKUMHBnK0WyjDLzMun2pQfIVLMY1Ej0s5.jfKWMsPY8fM09a"
"""The hash of a random password. Checking against it makes unknown accounts take as long as known ones."""

Result = TypeVar("Result")


class PasswordMatch(Enum):
    """The result of comparing a password with a stored hash."""

    WRONG = auto()
    RIGHT = auto()
    OUTDATED = auto()
    """The password is right, but its hash was made from another spelling than the normal form."""


def hash_password(password: str) -> str:
    """Hash the password's normal form. Takes about 0.25 s.

    Raises:
        PasswordTooLong: more than 72 bytes in UTF-8.
    """
    return bcrypt.hashpw(normalize_password(password).encode(), bcrypt.gensalt(COST)).decode()


class Passwords:
    """A thread pool for bcrypt, which releases the GIL. Logins do not block other requests.

    Every call raises TemporarilyUnavailable at once if `max_pending` calls are already running or waiting.
    """

    def __init__(
        self,
        concurrency: int = CONCURRENCY,
        max_pending: int = MAX_PENDING,
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="bcrypt")
        self._free = max_pending
        self._check = check

    async def verify(self, password: str, password_hash: str | None) -> PasswordMatch:
        """Compare the password with the hash. Without a hash, return WRONG after the same time.

        A password with characters that have two Unicode forms takes twice as long, with or without a hash.
        """
        candidates = spellings(password)
        against = password_hash.encode() if password_hash is not None and candidates else _DUMMY_HASH
        encoded = [each.encode("utf-8", "surrogatepass") for each in candidates or ("",)]
        matches = [await self._run(partial(self._check, each, against)) for each in encoded]
        if not any(matches):
            return PasswordMatch.WRONG
        return PasswordMatch.RIGHT if matches[0] else PasswordMatch.OUTDATED

    async def hash(self, password: str) -> str:
        """Hash the password in the pool. Raises as `hash_password` does."""
        return await self._run(partial(hash_password, password))

    async def _run(self, call: Callable[[], Result]) -> Result:
        if self._free <= 0:
            raise TemporarilyUnavailable("The login service is overloaded. Try again after the seconds in Retry-After")
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._free += 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
