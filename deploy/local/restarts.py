"""The pauses before restarts of a service."""

from dataclasses import dataclass, field
from typing import Final

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STABLE_AFTER_S: Final = 60.0
"""A process that ran for this long resets the pause."""
EARLY_EXIT_S: Final = 15.0
"""An exit this soon after the start probably repeats: a wrong setting, or a port in use."""
EARLY_EXITS: Final = 5
"""After this many early exits in a row the service is not restarted."""


@dataclass(slots=True)
class Restarts:
    """Exponential back-off between the starts of one service, up to a limit of early exits."""

    first_pause_s: float = FIRST_PAUSE_S
    _pause_s: float = field(default=0.0, init=False)
    _early_exits: int = field(default=0, init=False)

    def pause_after(self, ran_s: float) -> float | None:
        """Return the seconds to wait after an exit of a process that ran for `ran_s`, or None for no restart."""
        self._early_exits = self._early_exits + 1 if ran_s < EARLY_EXIT_S else 0
        if self._early_exits >= EARLY_EXITS:
            return None
        if ran_s >= STABLE_AFTER_S or not self._pause_s:
            self._pause_s = self.first_pause_s
        else:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return self._pause_s
