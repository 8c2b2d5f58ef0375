"""Logistic regression for differential item functioning: does an item differ between groups at the same total?

Swaminathan and Rogers 1990, "Detecting differential item functioning using logistic regression procedures". The fit is
Newton's method (iteratively reweighted least squares; McCullagh and Nelder 1989, "Generalized Linear Models", 4.4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import erfc, exp, log1p, sqrt
from statistics import fmean, pstdev
from typing import Final, NamedTuple, TypeAlias

MAX_STEPS: Final = 50
PRECISION: Final = 1e-10
MAX_LOG_ODDS: Final = 30.0
"""Beyond this, a probability is 0 or 1: the groups are separated and there is no estimate."""


class Person(NamedTuple):
    """A student with this total score; `focal` is the membership in the focal group."""

    total: int
    focal: bool


class Count(NamedTuple):
    """How many of the answers are right and wrong."""

    right: int
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticDif:
    """The effect of the group on the log-odds of a right answer at the same total, and two likelihood ratio tests.

    `log_odds` is negative if the item is harder for the focal group. The uniform test compares the model with the group
    to the model with the total only; the non-uniform test adds an effect of the group that depends on the total. It is
    None if that model has no estimate.
    """

    log_odds: float
    uniform_chi_square: float
    uniform_p_value: float
    non_uniform_chi_square: float | None
    non_uniform_p_value: float | None


Row: TypeAlias = tuple[float, ...]
Design: TypeAlias = Callable[[float, bool], Row]

_TOTAL: Final[Design] = lambda total, _: (1.0, total)  # noqa: E731  # three designs in one table
_UNIFORM: Final[Design] = lambda total, focal: (1.0, total, float(focal))  # noqa: E731
_NON_UNIFORM: Final[Design] = lambda total, focal: (1.0, total, float(focal), total * focal)  # noqa: E731


def logistic_dif(counts: Mapping[Person, Count]) -> LogisticDif | None:
    """Compare the models. None without an estimate, for example because every answer of a group is right."""
    totals = [float(person.total) for person in counts]
    if len(set(totals)) < 2:  # noqa: PLR2004  # a single total has no slope
        return None
    middle, spread = fmean(totals), pstdev(totals)  # scaled for a stable fit: neither figure below depends on it
    fits = [
        fit(
            [design((person.total - middle) / spread, person.focal) for person in counts],
            list(counts.values()),
        )
        for design in (_TOTAL, _UNIFORM, _NON_UNIFORM)
    ]
    by_total, uniform, non_uniform = fits
    if by_total is None or uniform is None:
        return None
    chi_square = max(0.0, by_total.deviance - uniform.deviance)
    interaction = None if non_uniform is None else max(0.0, uniform.deviance - non_uniform.deviance)
    return LogisticDif(
        log_odds=uniform.coefficients[2],
        uniform_chi_square=chi_square,
        uniform_p_value=chi_square_p_value(chi_square),
        non_uniform_chi_square=interaction,
        non_uniform_p_value=None if interaction is None else chi_square_p_value(interaction),
    )


def chi_square_p_value(statistic: float) -> float:
    """Return the probability of a larger value of chi-square with one degree of freedom, the square of a normal."""
    return erfc(sqrt(statistic / 2))


class Fit(NamedTuple):
    coefficients: Row
    deviance: float


def fit(design: Sequence[Row], counts: Sequence[Count]) -> Fit | None:
    """Fit the log-odds of a right answer to the rows of the design. None if the fit does not converge."""
    coefficients: Row = (0.0,) * len(design[0])
    for _ in range(MAX_STEPS):
        step = _newton_step(design, counts, coefficients)
        if step is None:
            return None
        coefficients = tuple(old + change for old, change in zip(coefficients, step, strict=True))
        if any(abs(_log_odds(row, coefficients)) > MAX_LOG_ODDS for row in design):
            return None
        if max(map(abs, step)) < PRECISION:
            return Fit(coefficients, _deviance(design, counts, coefficients))
    return None


def _newton_step(design: Sequence[Row], counts: Sequence[Count], coefficients: Row) -> Row | None:
    """Return the inverse information matrix times the gradient of the log-likelihood."""
    size = range(len(coefficients))
    gradient = [0.0 for _ in size]
    information = [[0.0 for _ in size] for _ in size]
    for row, count in zip(design, counts, strict=True):
        probability = 1 / (1 + exp(-_log_odds(row, coefficients)))
        number = count.right + count.wrong
        error, weight = count.right - number * probability, number * probability * (1 - probability)
        for i in size:
            gradient[i] += row[i] * error
            for j in size:
                information[i][j] += row[i] * row[j] * weight
    return solve(information, gradient)


def _log_odds(row: Row, coefficients: Row) -> float:
    return sum(value * coefficient for value, coefficient in zip(row, coefficients, strict=True))


def _deviance(design: Sequence[Row], counts: Sequence[Count], coefficients: Row) -> float:
    """Return -2 times the log-likelihood of the single answers."""
    likelihood = 0.0
    for row, count in zip(design, counts, strict=True):
        log_odds = _log_odds(row, coefficients)
        likelihood += count.right * log_odds - (count.right + count.wrong) * _log1p_exp(log_odds)
    return -2 * likelihood


def _log1p_exp(value: float) -> float:
    """Return log(1 + exp(value)) without overflow."""
    return value + log1p(exp(-value)) if value > 0 else log1p(exp(value))


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> Row | None:
    """Solve a small system of linear equations by Gaussian elimination with pivoting. None if it is singular."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda place: abs(rows[place][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        if abs(rows[column][column]) < 1e-12:  # noqa: PLR2004  # zero, but for rounding
            return None
        for place in range(size):
            if place != column:
                factor = rows[place][column] / rows[column][column]
                rows[place] = [a - factor * b for a, b in zip(rows[place], rows[column], strict=True)]
    return tuple(rows[place][size] / rows[place][place] for place in range(size))
