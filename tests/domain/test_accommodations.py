"""More time for one person."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.accommodations import TimeAccommodation


@pytest.mark.parametrize(
    ("factor", "minutes", "extended"),
    [
        ("1", 0, timedelta(hours=2)),
        ("1.5", 0, timedelta(hours=3)),
        ("1", 20, timedelta(hours=2, minutes=20)),
        ("1.25", 10, timedelta(hours=2, minutes=40)),
        ("3.00", 600, timedelta(hours=16)),
    ],
)
def test_the_minutes_are_added_after_the_factor(factor: str, minutes: int, extended: timedelta) -> None:
    accommodation = TimeAccommodation(time_factor=Decimal(factor), extra_minutes=minutes)

    assert accommodation.extend(timedelta(hours=2)) == extended
