"""Differential item functioning after Mantel and Haenszel, with the classes of ETS (Educational Testing Service)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import log, sqrt
from typing import Final, NamedTuple

from domain.quality.logistic import chi_square_p_value

_DELTA: Final = -2.35
"""Converts log-odds to the delta scale of ETS: 4 / 1.7, with the sign changed so that negative is harder."""
_SIGNIFICANT: Final = 0.05
_ONE_SIDED: Final = 1.645
"""The 95 % quantile of the normal distribution."""


class Stratum(NamedTuple):
    """Students with the same total score: right and wrong answers of the reference group and of the focal group."""

    reference_right: int
    reference_wrong: int
    focal_right: int
    focal_wrong: int


class DifClass(StrEnum):
    """A: negligible, B: moderate, C: large."""

    A = "A"
    B = "B"
    C = "C"


@dataclass(frozen=True, slots=True, kw_only=True)
class MantelHaenszel:
    """The odds of a right answer in the reference group divided by those in the focal group, at the same total.

    `d_dif` is the ratio on the delta scale of ETS; negative means that the item is harder for the focal group.
    `standard_error` is that of `d_dif`.
    """

    odds_ratio: float
    d_dif: float
    standard_error: float
    chi_square: float
    p_value: float
    dif_class: DifClass


def mantel_haenszel(strata: Iterable[Stratum]) -> MantelHaenszel | None:
    """Compute the common odds ratio of the strata and its test. None if the ratio is 0 or infinite, or not defined.

    Holland and Thayer 1988, "Differential item performance and the Mantel-Haenszel procedure". The variance of the
    log-odds is that of Robins, Breslow and Greenland 1986; the test has the continuity correction, as R's
    `mantelhaen.test` has both.
    """
    informative = [each for each in strata if sum(each) > 1]
    for_reference = sum(each.reference_right * each.focal_wrong / sum(each) for each in informative)
    for_focal = sum(each.reference_wrong * each.focal_right / sum(each) for each in informative)
    variance = sum(map(_variance, informative))
    if min(for_reference, for_focal, variance) <= 0:
        return None
    log_odds = log(for_reference / for_focal)
    distance = abs(sum(map(_excess, informative)))
    correction = 0.5 if distance >= 0.5 else 0  # noqa: PLR2004  # as R does
    chi_square = (distance - correction) ** 2 / variance
    d_dif, p_value = _DELTA * log_odds, chi_square_p_value(chi_square)
    error = -_DELTA * sqrt(_log_variance(informative, for_reference, for_focal))
    return MantelHaenszel(
        odds_ratio=for_reference / for_focal,
        d_dif=d_dif,
        standard_error=error,
        chi_square=chi_square,
        p_value=p_value,
        dif_class=dif_class(d_dif, error, p_value),
    )


def dif_class(d_dif: float, standard_error: float, p_value: float) -> DifClass:
    """Return the class of ETS (Zwick 2012, "A review of ETS differential item functioning assessment procedures").

    A: smaller than 1 or not significant. C: at least 1.5 and significantly larger than 1. B: all others.
    """
    size = abs(d_dif)
    if size < 1 or p_value >= _SIGNIFICANT:
        return DifClass.A
    is_large = size >= 1.5 and size - _ONE_SIDED * standard_error > 1  # noqa: PLR2004  # the limit of ETS
    return DifClass.C if is_large else DifClass.B


def _margins(each: Stratum) -> tuple[int, int, int, int]:
    """Return the numbers of the reference group, the focal group, right answers and wrong answers."""
    return (
        each.reference_right + each.reference_wrong,
        each.focal_right + each.focal_wrong,
        each.reference_right + each.focal_right,
        each.reference_wrong + each.focal_wrong,
    )


def _excess(each: Stratum) -> float:
    """Return the right answers of the reference group above their expectation if the group made no difference."""
    reference, _, right, _ = _margins(each)
    return each.reference_right - reference * right / sum(each)


def _variance(each: Stratum) -> float:
    """Return the hypergeometric variance of the reference group's right answers."""
    reference, focal, right, wrong = _margins(each)
    number = sum(each)
    return reference * focal * right * wrong / (number * number * (number - 1))


def _log_variance(strata: Iterable[Stratum], for_reference: float, for_focal: float) -> float:
    """Return the variance of the log odds ratio after Robins, Breslow and Greenland."""
    same = mixed = opposite = 0.0
    for each in strata:
        number = sum(each)
        agreeing = (each.reference_right + each.focal_wrong) / number
        opposing = (each.reference_wrong + each.focal_right) / number
        r = each.reference_right * each.focal_wrong / number
        s = each.reference_wrong * each.focal_right / number
        same += agreeing * r
        mixed += agreeing * s + opposing * r
        opposite += opposing * s
    return same / (2 * for_reference**2) + mixed / (2 * for_reference * for_focal) + opposite / (2 * for_focal**2)
