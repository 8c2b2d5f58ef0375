"""Checks the domain's dataclasses make of themselves. Each raises ValueError("<field>: <problem>")."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from domain.decimals import MAX_DIGITS, PLACES, is_exact, plain
from domain.text import is_blank

MAX_POINTS: Final = Decimal(999)
"""What an item can be worth at most; the columns hold three digits before the point."""


def check_number(field: str, value: Decimal) -> None:
    """An exact number: a NaN, an infinity or an endless tail would make every comparison after it a guess."""
    if not is_exact(value):
        raise ValueError(f"{field}: must be a finite number of at most {MAX_DIGITS} digits")


def check_range(field: str, value: Decimal, low: Decimal | int, high: Decimal | int) -> None:
    """Within `low`..`high`, both included."""
    check_number(field, value)
    if not low <= value <= high:
        raise ValueError(f"{field}: must be between {low} and {high}")


def check_positive(field: str, value: Decimal, high: Decimal | int, places: int = PLACES) -> None:
    """Above 0, at most `high`, with at most `places` decimal places."""
    check_number(field, value)
    if not 0 < value <= high:
        raise ValueError(f"{field}: must be above 0 and at most {high}")
    check_places(field, value, places)


def check_places(field: str, value: Decimal, places: int = PLACES) -> None:
    """A value with more places than are stored would change when it is."""
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
    """Enough names, none of them blank, none twice."""
    found = list(names)
    if len(found) < at_least:
        raise ValueError(f"{field}: must have at least {at_least}")
    for name in found:
        check_text(field, name)
    check_unique(field, found)
