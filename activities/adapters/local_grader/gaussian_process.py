"""A Gaussian process that estimates a level and its confidence from similarities to labelled answers."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

NOISE: Final = 0.1
"""The noise of labels: the variance between two people who score the same answer, relative to the variance between
dissimilar answers."""
MEAN_SPREAD: Final = 0.06
"""The prior standard deviation of a question's mean level from the middle of the scale, as a share of the scale. It
prevents a few labelled answers from shifting the mean, unless they agree."""
PRIOR_SPREAD: Final = 0.25
"""The prior standard deviation of levels from their mean, as a share of the scale, with the weight of one answer."""
PRIOR_VARIANCE: Final = 0.1
PRIOR_WEIGHT: Final = 6.0
"""The prior variance per unit of similarity, in squared scales, with the weight of 6 labelled answers. With this prior
the confidence is calibrated: it equals the share of correct levels in the project's questions, by leave-one-out."""


class Estimate(NamedTuple):
    """A level by its index from 0, and the probability 0..1 that it is right."""

    level: int
    confidence: float


@dataclass(frozen=True, slots=True)
class LevelProcess:
    """A Gaussian process over the levels 0..`top`, fitted by `fit_levels` to n answers.

    Similarities are centred by the answers' means (`columns`, `whole`), because all answers to a question are similar.
    """

    top: int
    mean: float
    variance: float
    weights: Matrix
    inverse: Matrix
    columns: Matrix
    whole: float

    def estimate(self, similarity: Matrix, own: float) -> Estimate:
        """Estimate the level of an answer from its similarity to the n answers, and to itself (`own`)."""
        row = similarity - similarity.mean() - self.columns + self.whole
        position = self.mean + float(row @ self.weights)
        unexplained = own - 2 * float(similarity.mean()) + self.whole + NOISE - float(row @ self.inverse @ row)
        return _nearest_level(position, math.sqrt(self.variance * max(NOISE, unexplained)), self.top)


def fit_levels(similarity: Matrix, levels: Matrix, top: int) -> LevelProcess:
    """Fit a process to the levels (0..`top`) of n >= 1 answers and their similarities, an n x n matrix."""
    columns, whole = similarity.mean(axis=0), float(similarity.mean())
    centred = similarity - columns - columns[:, None] + whole
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
    """Return the mean level, shrunk towards the middle of the scale. A less certain mean is shrunk further."""
    seen = float(levels.mean())
    spread = (float(((levels - seen) ** 2).sum()) + (PRIOR_SPREAD * top) ** 2) / (len(levels) + 1)
    trust = (MEAN_SPREAD * top) ** 2
    return top / 2 + (seen - top / 2) * trust / (trust + spread / len(levels))


def _nearest_level(position: float, error: float, top: int) -> Estimate:
    """Return the level nearest to `position` and its share of the normal distribution around `position`."""
    level = min(top, max(0, math.floor(position + 0.5)))
    above = 1.0 if level == top else _below((level + 0.5 - position) / error)
    below = 0.0 if level == 0 else _below((level - 0.5 - position) / error)
    return Estimate(level, above - below)


def _below(deviations: float) -> float:
    """Return the share of a normal distribution below that number of standard deviations."""
    return (1 + math.erf(deviations / math.sqrt(2))) / 2
