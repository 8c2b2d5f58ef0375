"""Exact numbers: input and output are decimals, calculations use fractions, and results are rounded once."""

from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

PLACES: Final = 4
"""Decimal places of stored points, fractions and evidence weights."""

MAX_DIGITS: Final = 15
"""Significant digits of a number. A double preserves 15 digits, so a JSON number can carry the value both ways."""

_CONTEXT: Final = Context(prec=MAX_DIGITS)


def is_exact(value: Decimal) -> bool:
    """Return whether the value is 0, or has at most 15 significant digits and a magnitude from 1e-15 to below 1e15."""
    if not value.is_finite() or value == 0:
        return value.is_finite()
    return -MAX_DIGITS <= value.adjusted() < MAX_DIGITS and _CONTEXT.plus(value) == value


def to_exact(value: Decimal) -> Decimal | None:
    """Return the nearest exact value in canonical form, or None for NaN, infinity and magnitudes from 1e15.

    The value is rounded to 15 significant digits, and magnitudes below 1e-15 become 0. Both remove the rounding error
    of calculations with doubles.
    """
    if not value.is_finite():
        return None
    if value == 0 or value.adjusted() < -MAX_DIGITS:
        return Decimal(0)
    if value.adjusted() >= MAX_DIGITS:
        return None
    exact = canonical(value)
    return exact if is_exact(exact) else None  # rounding up may have reached 1e15


def canonical(value: Decimal) -> Decimal:
    """Return the canonical form of an exact value: 1250.00 and 1.25E+3 become 1250, -0 becomes 0."""
    return _CONTEXT.add(_CONTEXT.normalize(value), Decimal(0))


def plain(value: Decimal) -> str:
    """Format an exact value without an exponent or trailing zeros."""
    return f"{canonical(value):f}"


def rounded(value: Fraction) -> Decimal:
    """Round to four decimal places, half to even."""
    return Decimal(round(value * 10**PLACES)).scaleb(-PLACES)
