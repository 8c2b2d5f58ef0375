"""How many requests one endpoint may hold in this worker at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

UNKNOWN_S: Final = 1.0
"""What a request is expected to last before any has ended."""
LONGEST_S: Final = 600.0
SHORTEST_S: Final = 0.1
LEAST: Final = 2
"""Slots that the slowest endpoint has."""
_WEIGHT: Final = 0.2
"""Of the newest request in what a request is expected to last."""


@dataclass(slots=True)
class _Line:
    """An endpoint's requests under way by when they began, what one lasts, and when the next free turn is expected."""

    began: dict[object, float] = field(default_factory=dict)
    lasts_s: float = UNKNOWN_S
    turn: float = 0.0


class EndpointConcurrencyLimiter:
    """Keeps a partner that hangs from holding what all others need.

    `at_once` is for endpoints that answer within a second; slower ones have fewer slots, in proportion. Who finds no
    room leaves at once and comes back when those before it should be through: their number times what a request to this
    endpoint lasts.
    """

    def __init__(self, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._lines: dict[UUID, _Line] = {}

    @contextmanager
    def held(self, endpoint_id: UUID) -> Iterator[None]:
        """A slot of the endpoint.

        Raises:
            ApplicationError: all are taken; expected, and to be retried after its delay.
        """
        line = self._lines.setdefault(endpoint_id, _Line())
        if len(line.began) >= self._room(line):
            raise retry_later(self._turn_in_s(line), "EndpointBusy")
        ticket, began = object(), self._clock()
        line.began[ticket] = began
        try:
            yield
        finally:
            del line.began[ticket]
            line.lasts_s += _WEIGHT * (self._clock() - began - line.lasts_s)

    def _room(self, line: _Line) -> int:
        return max(min(LEAST, self._at_once), int(self._at_once / max(line.lasts_s, 1.0)))

    def _turn_in_s(self, line: _Line) -> float:
        now = self._clock()
        oldest = next(iter(line.began.values()))
        line.turn = max(line.turn, now) + max(line.lasts_s, now - oldest) / self._room(line)
        return min(max(line.turn - now, SHORTEST_S), LONGEST_S)


def retry_later(delay_s: float, kind: str) -> ApplicationError:
    """The refusal of an attempt that makes no request: nothing is wrong, it is only not its turn."""
    return ApplicationError(
        "The endpoint takes no more requests at the moment",
        type=kind,
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=timedelta(seconds=delay_s),
    )
