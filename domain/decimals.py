"""Exact numbers: decimals at the edges, fractions inside, one rounding to four places at the end."""

from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

PLACES: Final = 4
"""Decimal places of points, fractions and weights of evidence, as they are stored."""

MAX_DIGITS: Final = 15
"""Significant digits of a number. A double keeps that many, so JSON may carry it as a number both ways."""

_CONTEXT: Final = Context(prec=MAX_DIGITS)


def is_exact(value: Decimal) -> bool:
    """Whether it is 0, or has at most 15 significant digits and a magnitude from 1e-15 to below 1e15."""
    if not value.is_finite() or value == 0:
        return value.is_finite()
    return -MAX_DIGITS <= value.adjusted() < MAX_DIGITS and _CONTEXT.plus(value) == value


def to_exact(value: Decimal) -> Decimal | None:
    """The nearest exact value, in its canonical form; None for a NaN and for magnitudes of 1e15 and more.

    Keeps 15 significant digits, and turns magnitudes below 1e-15 into 0: both remove the error of calculating with
    doubles.
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
    """The one form of an exact value: 1250.00 and 1.25E+3 become 1250, -0 becomes 0."""
    return _CONTEXT.add(_CONTEXT.normalize(value), Decimal(0))


def plain(value: Decimal) -> str:
    """An exact value as people write it, without exponent and trailing zeros."""
    return f"{canonical(value):f}"


def rounded(value: Fraction) -> Decimal:
    """To four places, half to even."""
    return Decimal(round(value * 10**PLACES)).scaleb(-PLACES)
