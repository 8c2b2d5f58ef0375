"""bcrypt off the event loop, a bounded number at a time and a bounded number waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import bcrypt

from domain.errors import TemporarilyUnavailable

COST: Final = 12
MIN_CHARS: Final = 12
MAX_BYTES: Final = 72
CONCURRENCY: Final = 2
PLACES: Final = 16
"""At a quarter of a second each and two at a time, the last in the queue waits two seconds."""
_NOBODY: Final = b"$2b$12$Ou2GneKUMHBnK0WyjDLzMun2pQfIVLMY1Ej0s5.jfKWMsPY8fM09a"
"""The hash of a password that nobody knows: an unknown address takes as long to refuse as a known one."""

Done = TypeVar("Done")


class PasswordTooLong(ValueError):
    """bcrypt reads 72 bytes; what it would drop silently is refused."""


def hash_password(password: str) -> str:
    """The hash to store; takes about a quarter of a second.

    Raises:
        PasswordTooLong: more than 72 bytes in UTF-8.
    """
    if len(password.encode()) > MAX_BYTES:
        raise PasswordTooLong(f"a password has at most {MAX_BYTES} bytes")
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()


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

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is the one; False, after the same time, where there is no hash or it cannot match."""
        raw = password.encode("utf-8", "surrogatepass")
        possible = password_hash is not None and len(raw) <= MAX_BYTES
        against = password_hash.encode() if possible and password_hash is not None else _NOBODY
        return await self._in_turn(partial(self._check, raw[:MAX_BYTES], against)) and possible

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
