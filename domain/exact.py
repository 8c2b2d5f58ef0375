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


def canonical(value: Decimal) -> Decimal:
    """The one form of an exact value: 1250.00 and 1.25E+3 become 1250, -0 becomes 0."""
    return _CONTEXT.add(_CONTEXT.normalize(value), Decimal(0))


def plain(value: Decimal) -> str:
    """An exact value as people write it, without exponent and trailing zeros."""
    return f"{canonical(value):f}"


def rounded(value: Fraction) -> Decimal:
    """To four places, half to even."""
    return Decimal(round(value * 10**PLACES)).scaleb(-PLACES)
