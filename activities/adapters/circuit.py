"""A circuit breaker that lets one call at a time find out whether the service is back."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import HALF_OPENED, OpenedState


class CircuitOpen(Exception):
    """The service is not asked for another `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("The circuit is open")
        self.retry_after_s = retry_after_s


class Circuit:
    """Opens for `open_s` seconds after `threshold` calls in a row that ended in an error for which `fails` holds.

    When the time is over the library lets every call through; here the first one tries alone.
    """

    def __init__(self, *, threshold: int, open_s: float, fails: Callable[[BaseException], bool]) -> None:
        self._open_s = open_s
        self._fails = fails
        breakers = SyncCircuitBreakerFactory(threshold, open_s, exclude=[(BaseException, self._proves_life)])
        self._breaker = breakers.get_breaker("service")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Around a call.

        Raises:
            CircuitOpen: the call is not to be made.
        """
        if self._breaker.context.state == HALF_OPENED:
            raise CircuitOpen(self._open_s)
        try:
            with self._breaker:
                yield
        except OpenedState as opened:
            opened.__traceback__ = None  # the library raises this one again and again, and each time it would grow
            raise CircuitOpen(max(0.0, opened.opened_at + self._open_s - time.time())) from None

    def _proves_life(self, error: BaseException) -> bool:
        """A refusal does. A cancelled call says nothing, which is too little to close the circuit for."""
        if isinstance(error, asyncio.CancelledError):
            return self._breaker.context.state != HALF_OPENED
        return not self._fails(error)
