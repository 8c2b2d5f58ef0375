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
PLACES: Final = 16
"""At a quarter of a second each and two at a time, the last in the queue waits two seconds."""
_NOBODY: Final = b"$2b$12$Ou2GneKUMHBnK0WyjDLzMun2pQfIVLMY1Ej0s5.jfKWMsPY8fM09a"
"""The hash of a password that nobody knows: an unknown address takes as long to refuse as a known one."""

Done = TypeVar("Done")


class PasswordMatch(Enum):
    """How a password compares with a stored hash."""

    WRONG = auto()
    RIGHT = auto()
    OUTDATED = auto()
    """The password is right, but its hash was made from another spelling than the normal form."""


def hash_password(password: str) -> str:
    """The hash of the password's normal form, to be stored; takes about a quarter of a second.

    Raises:
        PasswordTooLong: more than 72 bytes in UTF-8.
    """
    return bcrypt.hashpw(normalize_password(password).encode(), bcrypt.gensalt(COST)).decode()


class Passwords:
    """bcrypt in threads of its own (it releases the GIL), so that logins cannot starve other requests.

    Every call raises TemporarilyUnavailable at once when `places` calls are running or waiting.
    """

    def __init__(
        self,
        concurrency: int = CONCURRENCY,
        places: int = PLACES,
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="bcrypt")
        self._free = places
        self._check = check

    async def verify(self, password: str, password_hash: str | None) -> PasswordMatch:
        """Compare the password with the hash; WRONG, after the same time, if there is no hash.

        A password with letters that have two forms in Unicode takes twice as long, with or without an account.
        """
        candidates = spellings(password)
        against = password_hash.encode() if password_hash is not None and candidates else _NOBODY
        encoded = [each.encode("utf-8", "surrogatepass") for each in candidates or ("",)]
        matches = [await self._in_turn(partial(self._check, each, against)) for each in encoded]
        if not any(matches):
            return PasswordMatch.WRONG
        return PasswordMatch.RIGHT if matches[0] else PasswordMatch.OUTDATED

    async def hash(self, password: str) -> str:
        """The hash to store; raises as `hash_password` does."""
        return await self._in_turn(partial(hash_password, password))

    async def _in_turn(self, call: Callable[[], Done]) -> Done:
        if self._free <= 0:
            raise TemporarilyUnavailable("Too many passwords are being checked; try again in a moment")
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._free += 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
