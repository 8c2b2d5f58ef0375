"""bcrypt off the event loop, a bounded number at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import bcrypt

COST: Final = 12
MAX_BYTES: Final = 72
_NOBODY: Final = b"$2b$12$Ou2GneKUMHBnK0WyjDLzMun2pQfIVLMY1Ej0s5.jfKWMsPY8fM09a"
"""The hash of a password that nobody knows: an unknown address takes as long to refuse as a known one."""


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
    """Checks passwords in threads of its own (bcrypt releases the GIL), so that logins cannot starve other requests."""

    def __init__(self, concurrency: int = 2) -> None:
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="bcrypt")

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is the one; False, after the same time, where there is no hash or it cannot match."""
        raw = password.encode("utf-8", "surrogatepass")
        possible = password_hash is not None and len(raw) <= MAX_BYTES
        against = password_hash.encode() if possible and password_hash is not None else _NOBODY
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, bcrypt.checkpw, raw[:MAX_BYTES], against) and possible

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
