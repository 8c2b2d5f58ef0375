"""Calibrate a language model's confidence in its levels on the reviews of one organization.

Before calibration, a formula gives the confidence of a level. It depends on the share of verified quotes, on the
corrective round, and on the share of samples that agree. Platt scaling (Platt 1999) learns from reviews how often such
levels are confirmed, with an effect for each criterion of a question. Gaussian priors shrink the scaling to the
identity and the effects to 0, so a few reviews change little. Newton's method finds the maximum of the posterior.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from math import exp, log
from typing import Final, NamedTuple

from domain.decimals import rounded
from domain.grading.scores import CriterionRating
from domain.ids import content_hash

REVIEW_BELOW: Final = Decimal("0.65")
"""A criterion with less confidence causes a review, for example when only two of three samples agree (0.6)."""
FEWEST_LEVELS: Final = 20
"""With fewer reviewed levels the prior stays unchanged."""
MOST_REVIEWS: Final = 1_000
"""The number of newest reviews of an organization that a calibration reads."""

INTERCEPT_PRECISION: Final = 1.0
SLOPE_PRECISION: Final = 4.0
CRITERION_PRECISION: Final = 4.0
"""The precisions (1 / variance) of the priors on the scale of log-odds. With about 20 reviewed levels of a criterion,
half of its observed difference to the other criteria counts."""

LOWEST, HIGHEST = 0.02, 0.98
"""The range of the confidences before and after calibration."""

_STEPS: Final = 25
_PRECISION: Final = 1e-9
_LONGEST_STEP: Final = 1.0


class CriterionKey(NamedTuple):
    """A criterion of a question; `rubric_version` is the question's version."""

    rubric_version: str
    criterion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedLevel:
    """A language model's level and whether the reviewer confirmed it. `confidence` is from before calibration."""

    key: CriterionKey
    confidence: Decimal
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Convert a confidence to the probability that a reviewer confirms the level.

    `version` is a content hash of the parameters. It is empty for the identity, which changes no confidence.
    """

    version: str = ""
    intercept: float = 0.0
    slope: float = 1.0
    effects: Mapping[CriterionKey, float] = field(default_factory=dict)

    def confidence(self, key: CriterionKey, before: Decimal) -> Decimal:
        if not self.version:
            return before
        log_odds = self.intercept + self.slope * _log_odds(float(before)) + self.effects.get(key, 0.0)
        return rounded(Fraction(min(max(_probability(log_odds), LOWEST), HIGHEST)))

    def ratings(self, rubric_version: str, ratings: Iterable[CriterionRating]) -> tuple[CriterionRating, ...]:
        """Return the ratings with calibrated confidences. The identity changes nothing."""
        if not self.version:
            return tuple(ratings)
        return tuple(
            replace(
                rating,
                confidence=self.confidence(CriterionKey(rubric_version, rating.criterion), rating.confidence),
                raw_confidence=rating.confidence,
            )
            for rating in ratings
        )


UNCALIBRATED: Final = Calibration()


class _Count(NamedTuple):
    """How many of the levels of a criterion with the same confidence were confirmed."""

    log_odds: float
    confirmed: int
    levels: int


def is_unsure(ratings: Iterable[CriterionRating]) -> bool:
    """Return whether a confidence is so low that a reviewer must check the essay."""
    return any(rating.confidence < REVIEW_BELOW for rating in ratings)


def calibrate(reviewed: Iterable[ReviewedLevel]) -> Calibration:
    """Fit a calibration. The result depends only on the counts of equal levels, not on their order.

    A higher confidence never becomes a lower probability: a negative slope is replaced by 0.
    """
    counts = _counted(reviewed)
    every_count = [count for found in counts.values() for count in found]
    if sum(count.levels for count in every_count) < FEWEST_LEVELS:
        return UNCALIBRATED
    intercept, slope = _scaling(every_count)
    if slope < 0:
        intercept, slope = _scaling([count._replace(log_odds=0.0) for count in every_count])[0], 0.0
    effects = {key: round(_effect(found, intercept, slope), 4) for key, found in counts.items()}
    intercept, slope = round(intercept, 4), round(slope, 4)
    version = content_hash([intercept, slope, [[*key, effect] for key, effect in effects.items()]])
    return Calibration(version=version, intercept=intercept, slope=slope, effects=effects)


def _counted(reviewed: Iterable[ReviewedLevel]) -> dict[CriterionKey, list[_Count]]:
    """Return the counts by criterion, sorted, so that sums are the same every time."""
    levels: Counter[tuple[CriterionKey, Decimal]] = Counter()
    confirmed: Counter[tuple[CriterionKey, Decimal]] = Counter()
    for each in reviewed:
        levels[each.key, each.confidence] += 1
        confirmed[each.key, each.confidence] += each.confirmed
    counts: dict[CriterionKey, list[_Count]] = defaultdict(list)
    for place in sorted(levels):
        key, confidence = place
        counts[key].append(_Count(_log_odds(float(confidence)), confirmed[place], levels[place]))
    return counts


def _scaling(counts: Sequence[_Count]) -> tuple[float, float]:
    """Return the intercept and the slope of Platt scaling over all criteria."""
    intercept, slope = 0.0, 1.0
    for _ in range(_STEPS):
        g0, g1 = -INTERCEPT_PRECISION * intercept, SLOPE_PRECISION * (1 - slope)
        h00, h01, h11 = INTERCEPT_PRECISION, 0.0, SLOPE_PRECISION
        for count in counts:
            error, weight = _error_and_weight(count, intercept + slope * count.log_odds)
            g0, g1 = g0 + error, g1 + error * count.log_odds
            h00, h01, h11 = h00 + weight, h01 + weight * count.log_odds, h11 + weight * count.log_odds**2
        determinant = h00 * h11 - h01 * h01  # positive, because the priors make the matrix positive definite
        step0, step1 = _bounded((g0 * h11 - g1 * h01) / determinant), _bounded((g1 * h00 - g0 * h01) / determinant)
        intercept, slope = intercept + step0, slope + step1
        if max(abs(step0), abs(step1)) < _PRECISION:
            break
    return intercept, slope


def _effect(counts: Sequence[_Count], intercept: float, slope: float) -> float:
    """Return how much the log-odds of one criterion differ from the scaling."""
    effect = 0.0
    for _ in range(_STEPS):
        gradient, information = -CRITERION_PRECISION * effect, CRITERION_PRECISION
        for count in counts:
            error, weight = _error_and_weight(count, intercept + slope * count.log_odds + effect)
            gradient, information = gradient + error, information + weight
        step = _bounded(gradient / information)
        effect += step
        if abs(step) < _PRECISION:
            break
    return effect


def _error_and_weight(count: _Count, log_odds: float) -> tuple[float, float]:
    """Return the first derivative of the log-likelihood by the log-odds, and the negative second one."""
    probability = _probability(log_odds)
    return count.confirmed - count.levels * probability, count.levels * probability * (1 - probability)


def _bounded(step: float) -> float:
    """Limit a step, because Newton's method may overshoot far from the maximum."""
    return min(max(step, -_LONGEST_STEP), _LONGEST_STEP)


def _probability(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds))


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, LOWEST), HIGHEST)
    return log(bounded / (1 - bounded))
