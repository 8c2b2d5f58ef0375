"""Limit the concurrent requests to one webhook endpoint in this worker."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

UNKNOWN_S: Final = 1.0
"""The expected duration of a request before any has ended."""
LONGEST_S: Final = 600.0
SHORTEST_S: Final = 0.1
LEAST: Final = 2
"""The number of slots of the slowest endpoint."""
_WEIGHT: Final = 0.2
"""The weight of the newest request in the moving average of durations."""


@dataclass(slots=True)
class _Endpoint:
    """The start times of an endpoint's running requests, their average duration, and when the next slot is free."""

    began: dict[object, float] = field(default_factory=dict)
    duration_s: float = UNKNOWN_S
    free_at: float = 0.0


class EndpointConcurrencyLimiter:
    """A concurrency limit per endpoint, so that a slow partner cannot block the deliveries of others.

    Endpoints that respond within a second have `at_once` slots; slower ones have fewer, in proportion. When no slot is
    free, the attempt fails at once and is retried when a slot should be free: the delay grows with the number of
    earlier attempts and the average duration of a request to this endpoint.
    """

    def __init__(self, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._endpoints: dict[UUID, _Endpoint] = {}

    @contextmanager
    def held(self, endpoint_id: UUID) -> Iterator[None]:
        """Hold a slot of the endpoint.

        Raises:
            ApplicationError: all slots are taken; benign, and retried after its delay.
        """
        endpoint = self._endpoints.setdefault(endpoint_id, _Endpoint())
        if len(endpoint.began) >= self._slots(endpoint):
            raise retry_later(self._free_in_s(endpoint), "EndpointBusy")
        ticket, began = object(), self._clock()
        endpoint.began[ticket] = began
        try:
            yield
        finally:
            del endpoint.began[ticket]
            endpoint.duration_s += _WEIGHT * (self._clock() - began - endpoint.duration_s)

    def _slots(self, endpoint: _Endpoint) -> int:
        return max(min(LEAST, self._at_once), int(self._at_once / max(endpoint.duration_s, 1.0)))

    def _free_in_s(self, endpoint: _Endpoint) -> float:
        now = self._clock()
        oldest = next(iter(endpoint.began.values()))
        endpoint.free_at = max(endpoint.free_at, now) + max(endpoint.duration_s, now - oldest) / self._slots(endpoint)
        return min(max(endpoint.free_at - now, SHORTEST_S), LONGEST_S)


def retry_later(delay_s: float, kind: str) -> ApplicationError:
    """Return the benign error that postpones an attempt by `delay_s` without a request."""
    return ApplicationError(
        "The endpoint accepts no more requests at the moment",
        type=kind,
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=timedelta(seconds=delay_s),
    )
