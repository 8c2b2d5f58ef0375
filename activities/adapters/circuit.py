"""A circuit breaker whose half-open state allows one trial call at a time."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import HALF_OPENED, OpenedState


class CircuitOpen(Exception):
    """The circuit is open for another `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("The circuit is open")
        self.retry_after_s = retry_after_s


class Circuit:
    """A circuit that opens for `open_s` seconds after `threshold` consecutive errors for which `fails` is true.

    A half-open circuit of the library allows every call. This one allows only the first call until it has ended.
    """

    def __init__(self, *, threshold: int, open_s: float, fails: Callable[[BaseException], bool]) -> None:
        self._open_s = open_s
        self._fails = fails
        breakers = SyncCircuitBreakerFactory(threshold, open_s, exclude=[(BaseException, self._counts_as_success)])
        self._breaker = breakers.get_breaker("service")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Surround a call to the service.

        Raises:
            CircuitOpen: the call must not be made.
        """
        if self._breaker.context.state == HALF_OPENED:
            raise CircuitOpen(self._open_s)
        try:
            with self._breaker:
                yield
        except OpenedState as opened:
            opened.__traceback__ = None  # the library raises the same exception each time, so its traceback would grow
            raise CircuitOpen(max(0.0, opened.opened_at + self._open_s - time.time())) from None

    def _counts_as_success(self, error: BaseException) -> bool:
        """An error response counts as success. A cancelled call is neutral and must not close a half-open circuit."""
        if isinstance(error, asyncio.CancelledError):
            return self._breaker.context.state != HALF_OPENED
        return not self._fails(error)
