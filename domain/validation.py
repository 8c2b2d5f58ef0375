"""Field checks of the domain's dataclasses. Each raises ValueError("<field>: <problem>")."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from domain.decimals import MAX_DIGITS, PLACES, is_exact, plain
from domain.text import is_blank

MAX_POINTS: Final = Decimal(999)
"""The maximum points of an item. The columns have three digits before the decimal point."""


def check_number(field: str, value: Decimal) -> None:
    """Check that the value is exact, so that comparisons with it are reliable. See `domain.decimals.is_exact`."""
    if not is_exact(value):
        raise ValueError(f"{field}: must be a finite number of at most {MAX_DIGITS} digits")


def check_range(field: str, value: Decimal, low: Decimal | int, high: Decimal | int) -> None:
    """Check that the value is an exact number from `low` to `high`, both included."""
    check_number(field, value)
    if not low <= value <= high:
        raise ValueError(f"{field}: must be between {low} and {high}")


def check_positive(field: str, value: Decimal, high: Decimal | int, places: int = PLACES) -> None:
    """Check that the value is above 0 and at most `high`, with at most `places` decimal places."""
    check_number(field, value)
    if not 0 < value <= high:
        raise ValueError(f"{field}: must be above 0 and at most {high}")
    check_places(field, value, places)


def check_places(field: str, value: Decimal, places: int = PLACES) -> None:
    """Check the number of decimal places. Storing a value with more places would change it."""
    if len(plain(value).partition(".")[2]) > places:
        raise ValueError(f"{field}: must have at most {places} decimal places")


def check_text(field: str, text: str) -> None:
    if is_blank(text):
        raise ValueError(f"{field}: must not be empty")


def check_unique(field: str, values: Iterable[object]) -> None:
    found = list(values)
    if len(set(found)) != len(found):
        raise ValueError(f"{field}: must not repeat")


def check_names(field: str, names: Iterable[str], at_least: int = 1) -> None:
    """Check that there are at least `at_least` names, and that none is blank or repeated."""
    found = list(names)
    if len(found) < at_least:
        raise ValueError(f"{field}: must have at least {at_least}")
    for name in found:
        check_text(field, name)
    check_unique(field, found)
