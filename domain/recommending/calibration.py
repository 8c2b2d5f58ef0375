"""Platt calibration of recommendation scores into the probability of a positive rating."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final

LIKED: Final = 4
"""The lowest positive rating. Accepting a recommendation counts as 5, rejecting it as 1."""
LEAST_REACTIONS: Final = 30
"""The fewest reactions for a calibration."""
PRIOR_SPREADS: Final = (1.5, 0.5)
"""The standard deviations of the normal priors of shift and slope. Their means are 0 and 1, which change no score."""
ROUNDS: Final = 200
EDGE: Final = 0.01
"""Scores are limited to `EDGE`..1 - `EDGE`, because no outcome is certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The number of reactions to items with about the same `score`, and the number of positive ones (4, 5 or accepted).

    Both may be fractional: a reaction to a list of five items counts as a fifth for each item.
    """

    score: float
    reactions: float
    liked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Platt scaling: the log-odds of a positive rating are `shift` + `slope` x the log-odds of the score.

    `reactions` is the number of reactions it was fitted to; 0: uncalibrated.
    """

    shift: float = 0.0
    slope: float = 1.0
    reactions: int = 0

    def chance(self, score: float) -> float:
        """Return the calibrated probability (0..1), which never decreases with the score; uncalibrated: the score."""
        return _sigmoid(self.shift + self.slope * _logit(score)) if self.reactions else score


UNCALIBRATED: Final = Calibration()


def calibrate(tallies: Iterable[Tally]) -> Calibration:
    """Fit the calibration by maximum a posteriori. Return UNCALIBRATED below `LEAST_REACTIONS` reactions."""
    seen = [(_logit(each.score), each.reactions, each.liked) for each in tallies]
    total = fsum(reactions for _, reactions, _ in seen)
    if round(total) < LEAST_REACTIONS:
        return UNCALIBRATED
    parameters = [0.0, 1.0]
    for step in range(2 * ROUNDS):
        parameters[step % 2] = _better(parameters, step % 2, seen)
    shift, slope = (round(each, 6) for each in parameters)
    return Calibration(shift=shift, slope=slope, reactions=round(total))


def _better(parameters: Sequence[float], place: int, seen: Sequence[tuple[float, float, float]]) -> float:
    """Return the parameter after one ascent step. The step cannot overshoot, because p(1 - p) is at most 1/4."""
    shift, slope = parameters
    prior, precision = (0.0, 1.0)[place], PRIOR_SPREADS[place] ** -2
    uphill = fsum((n_liked - n * _sigmoid(shift + slope * x)) * (x if place else 1.0) for x, n, n_liked in seen)
    bend = fsum(n * (x * x if place else 1.0) for x, n, _ in seen) / 4
    moved = parameters[place] + (uphill - precision * (parameters[place] - prior)) / (bend + precision)
    return max(0.0, moved) if place else moved


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _logit(score: float) -> float:
    bounded = min(1 - EDGE, max(EDGE, score))
    return math.log(bounded / (1 - bounded))
