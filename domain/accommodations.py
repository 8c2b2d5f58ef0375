"""More time to answer for one person, for example because of a disability (WCAG 2.2.1)."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

MAX_TIME_FACTOR: Final = Decimal(3)
MAX_EXTRA_MINUTES: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAccommodation:
    """`time_factor` (1 to 3, two decimals) multiplies the usual time; `extra_minutes` (0 to 600) are added to it."""

    time_factor: Decimal = Decimal(1)
    extra_minutes: int = 0

    def extend(self, usual: timedelta) -> timedelta:
        """Return the time that the person has instead of the usual time."""
        return usual * int(self.time_factor * 100) / 100 + timedelta(minutes=self.extra_minutes)
