"""A Gaussian process from likeness to levels: an estimate, and how far it may be off."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

NOISE: Final = 0.1
"""What two people who read the same answer differ by, as a share of what unlike answers differ by."""
MEAN_SPREAD: Final = 0.06
"""How far the mean level of all answers to a question strays from the scale's middle, in scales: a few labelled
answers are not taken for the share of good ones, unless they agree."""
PRIOR_SPREAD: Final = 0.25
"""The levels' usual standard deviation about their mean, in scales; it counts as one labelled answer."""
PRIOR_VARIANCE: Final = 0.1
PRIOR_WEIGHT: Final = 6.0
"""Of a unit of likeness, in squared scales, and how many labelled answers that guess counts as. With these the chance
of a level is the share of right ones in the project's questions, by leave-one-out."""


class Estimate(NamedTuple):
    """A level by its index from 0, and the chance 0..1 that it is the right one."""

    level: int
    confidence: float


@dataclass(frozen=True, slots=True)
class LevelProcess:
    """Levels 0..`top` by likeness to n answers; made by `fit_levels`.

    Likeness counts as what it is beyond the answers' mean (`columns`, `whole`): all answers to one question are alike.
    """

    top: int
    mean: float
    variance: float
    weights: Matrix
    inverse: Matrix
    columns: Matrix
    whole: float

    def estimate(self, likeness: Matrix, own: float) -> Estimate:
        """For an answer by its likeness to the n answers, and to itself."""
        row = likeness - likeness.mean() - self.columns + self.whole
        position = self.mean + float(row @ self.weights)
        unexplained = own - 2 * float(likeness.mean()) + self.whole + NOISE - float(row @ self.inverse @ row)
        return _nearest_level(position, math.sqrt(self.variance * max(NOISE, unexplained)), self.top)


def fit_levels(likeness: Matrix, levels: Matrix, top: int) -> LevelProcess:
    """Fits the levels (0..`top`) of n >= 1 answers to their likeness, an n x n matrix."""
    columns, whole = likeness.mean(axis=0), float(likeness.mean())
    centred = likeness - columns - columns[:, None] + whole
    inverse = np.linalg.inv(centred + NOISE * np.eye(len(levels)))
    mean = _mean_level(levels, top)
    beyond = levels - mean
    spread = PRIOR_WEIGHT * PRIOR_VARIANCE * top**2 + float(beyond @ inverse @ beyond)
    return LevelProcess(
        top=top,
        mean=mean,
        variance=spread / (PRIOR_WEIGHT + len(levels)),
        weights=inverse @ beyond,
        inverse=inverse,
        columns=columns,
        whole=whole,
    )


def _mean_level(levels: Matrix, top: int) -> float:
    """The levels' mean, drawn to the scale's middle, the more the less certain it is."""
    seen = float(levels.mean())
    spread = (float(((levels - seen) ** 2).sum()) + (PRIOR_SPREAD * top) ** 2) / (len(levels) + 1)
    trust = (MEAN_SPREAD * top) ** 2
    return top / 2 + (seen - top / 2) * trust / (trust + spread / len(levels))


def _nearest_level(position: float, error: float, top: int) -> Estimate:
    """The level nearest to `position`, and how much of a normal curve about it falls to that level."""
    level = min(top, max(0, math.floor(position + 0.5)))
    above = 1.0 if level == top else _below((level + 0.5 - position) / error)
    below = 0.0 if level == 0 else _below((level - 0.5 - position) / error)
    return Estimate(level, above - below)


def _below(deviations: float) -> float:
    """The share of a normal distribution below so many standard deviations."""
    return (1 + math.erf(deviations / math.sqrt(2))) / 2
