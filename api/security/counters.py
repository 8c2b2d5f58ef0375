"""Rate limit counters in the memory of one process."""

import time
from collections.abc import Callable
from typing import Final

from limits.aio.storage import Storage

SWEEP_S: Final = 1.0


class Counters(Storage):
    """A storage for fixed windows that removes expired windows once a second.

    The in-memory storage of `limits` checks every window on each request: with 100,000 clients a request took 8 ms.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[int, float]] = {}
        self._swept_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` and return the new count. The window ends `expiry` seconds after its first count."""
        now = self._clock()
        self._sweep(now)
        count, end = self._window(key, now)
        self._windows[key] = (count + amount, end or now + expiry)
        return count + amount

    async def get(self, key: str) -> int:
        return self._window(key, self._clock())[0]

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds since the epoch; the current time if there is no window."""
        now = self._clock()
        return self._window(key, now)[1] or now

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        """Remove all windows and return their number."""
        dropped = len(self._windows)
        self._windows.clear()
        return dropped

    async def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def _window(self, key: str, now: float) -> tuple[int, float]:
        """Return the count and the end of the current window; zeros without a window."""
        count, end = self._windows.get(key, (0, 0.0))
        return (count, end) if now < end else (0, 0.0)

    def _sweep(self, now: float) -> None:
        if now - self._swept_at >= SWEEP_S:
            self._swept_at = now
            self._windows = {key: window for key, window in self._windows.items() if now < window[1]}
