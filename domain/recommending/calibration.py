"""What a score has come to mean: the chance that a learner likes what is recommended with it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final

LIKED: Final = 4
"""The rating from which something is liked; accepting counts as 5, rejecting as 1."""
LEAST_REACTIONS: Final = 30
"""Fewer say too little to replace the score."""
PRIOR_SPREADS: Final = (1.5, 0.5)
"""How far shift and slope may well lie from 0 and 1, at which a chance is the score itself."""
ROUNDS: Final = 200
EDGE: Final = 0.01
"""Scores nearer to 0 or 1 are taken for this near: nothing is certain to be liked, or not to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Reactions to items of about the same `score`: how many, and how many rated it 4 or 5 or accepted.

    Both may be fractions: a reaction to a list of five is a fifth of one to each.
    """

    score: float
    reactions: float
    liked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Platt scaling: the log-odds of being liked are `shift` + `slope` x the score's; learnt from so many reactions."""

    shift: float = 0.0
    slope: float = 1.0
    reactions: int = 0

    def chance(self, score: float) -> float:
        """0..1, never falling as the score grows; the score itself where nothing was learnt."""
        return _sigmoid(self.shift + self.slope * _logit(score)) if self.reactions else score


UNCALIBRATED: Final = Calibration()


def calibrate(tallies: Iterable[Tally]) -> Calibration:
    """The most plausible calibration, drawn towards leaving scores as they are; uncalibrated below 30 reactions."""
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
    """The parameter after a step uphill that cannot overshoot: a chance's variance is never above a quarter."""
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
