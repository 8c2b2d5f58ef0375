"""What a rubric's labelled answers teach: per criterion a ridge regression of the level on a few features."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from domain.questions import Criterion, EssayRubric

Matrix = NDArray[np.float64]

PENALTY: Final = 0.1
"""Of the ridge: a larger one draws to the labelled answers' mean level."""
SURFACE_SCALES: Final = np.array([0.35, 0.8, 0.25, 0.6])
"""How far apart two answers to one question usually are: log words, log sentences, type-token ratio, numbers per ten
words. Fixed, because eight answers are too few to measure a spread."""
SURFACE_WEIGHT: Final = 0.6
DESCRIPTOR_WEIGHT: Final = 6.0
"""Measured by leave-one-out on the project's own labelled answers (8 for each of 10 questions): quadratic kappa 0.50,
exact 0.34, adjacent 0.90; without descriptors kappa 0.39. Overlap with the prompt and word length added nothing.
The weights were chosen on the same answers, which flatters these figures."""
ERROR_FACTOR: Final = 1.5
"""The error that a few labelled answers show is too small; with this factor the mean confidence is the share of right
levels in the same measurement. Single confidences are not calibrated yet."""
LEAST_ERROR: Final = 0.35
"""In levels: a handful of answers makes nobody surer than this."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_NUMBER: Final = re.compile(r"\d+")
_SENTENCE_END: Final = re.compile(r"[.!?…]+(?=\s|$)|\n+")


class Estimate(NamedTuple):
    """A level by its index from 0, and the chance 0..1 that it is the right one."""

    level: int
    confidence: float


@dataclass(frozen=True, slots=True)
class CriterionFit:
    """`low` and `high` are the vectors of its extreme descriptors; `error` is what to expect of it in levels."""

    ridge: RidgeCV
    low: Matrix
    high: Matrix
    top: int
    error: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A rubric, fitted. Vectors are unit rows; `surface_range` is what the labelled answers span (minimum, maximum)."""

    anchors: Matrix
    prompt: Matrix
    surface_range: tuple[Matrix, Matrix]
    usual_nearness: float
    criteria: tuple[CriterionFit, ...]

    def nearest(self, vector: Matrix) -> tuple[int, float]:
        """The most similar labelled answer's index and its cosine."""
        cosines = self.anchors @ vector
        best = int(np.argmax(cosines))
        return best, float(cosines[best])

    def relatedness(self, vector: Matrix) -> float:
        """The cosine with whatever of this question is most similar: a labelled answer or the prompt."""
        return max(self.nearest(vector)[1], float(self.prompt @ vector))

    def estimate(self, text: str, vector: Matrix) -> list[Estimate]:
        """A level per criterion. Length and the like count only within what the labelled answers span."""
        surface = np.clip(surface_features(text), *self.surface_range)
        novelty = max(0.0, 1 - self.nearest(vector)[1] / self.usual_nearness)
        return [_estimate(fit, _features(fit.low, fit.high, vector, surface), novelty) for fit in self.criteria]


def word_count(text: str) -> int:
    return len(_WORD.findall(text))


def surface_features(text: str) -> Matrix:
    """Log words, log sentences, type-token ratio and numbers per ten words; saying a sentence again adds nothing."""
    sentences = list(dict.fromkeys(" ".join(part.lower().split()) for part in _SENTENCE_END.split(text)))
    distinct = " ".join(sentences)
    words = _WORD.findall(distinct)
    count = max(1, len(words))
    numbers = len(_NUMBER.findall(distinct))
    return np.array([math.log1p(len(words)), math.log1p(len(sentences)), len(set(words)) / count, 10 * numbers / count])


def fit_texts(prompt: str, rubric: EssayRubric) -> list[str]:
    """The texts whose vectors `fit` takes: labelled answers, the prompt, each criterion's extreme descriptors."""
    descriptors = [criterion.levels[end].descriptor for criterion in rubric.criteria for end in (0, -1)]
    return [*(anchor.text for anchor in rubric.anchors), prompt, *descriptors]


def fit(rubric: EssayRubric, vectors: Sequence[Sequence[float]]) -> Fit:
    """Fits a rubric of at least 2 labelled answers to the vectors of `fit_texts`."""
    rows = np.asarray(vectors, dtype=np.float64)
    size = len(rubric.anchors)
    anchors, prompt, descriptors = rows[:size], rows[size], rows[size + 1 :]
    surface = np.stack([surface_features(anchor.text) for anchor in rubric.anchors])
    cosines = anchors @ anchors.T
    np.fill_diagonal(cosines, -1.0)
    return Fit(
        anchors=anchors,
        prompt=prompt,
        surface_range=(surface.min(axis=0), surface.max(axis=0)),
        usual_nearness=max(0.1, float(np.median(cosines.max(axis=1)))),
        criteria=tuple(
            _fit_criterion(criterion, _levels(rubric, criterion), anchors, surface, descriptors[2 * i : 2 * i + 2])
            for i, criterion in enumerate(rubric.criteria)
        ),
    )


def _fit_criterion(
    criterion: Criterion, levels: Matrix, anchors: Matrix, surface: Matrix, extremes: Matrix
) -> CriterionFit:
    low, high = extremes
    rows = [_features(low, high, vector, features) for vector, features in zip(anchors, surface, strict=True)]
    ridge = RidgeCV(alphas=[PENALTY], store_cv_results=True).fit(np.stack(rows), levels)
    error = ERROR_FACTOR * math.sqrt(float(ridge.cv_results_.mean()))
    return CriterionFit(ridge=ridge, low=low, high=high, top=len(criterion.levels) - 1, error=max(LEAST_ERROR, error))


def _levels(rubric: EssayRubric, criterion: Criterion) -> Matrix:
    names = [level.name for level in criterion.levels]
    return np.array([names.index(anchor.levels[criterion.key]) for anchor in rubric.anchors], dtype=np.float64)


def _features(low: Matrix, high: Matrix, vector: Matrix, surface: Matrix) -> Matrix:
    """The meaning as a whole, how much it is like the best and unlike the worst, and the surface."""
    descriptors = np.array([high @ vector, (high - low) @ vector])
    return np.concatenate([vector, DESCRIPTOR_WEIGHT * descriptors, SURFACE_WEIGHT * surface / SURFACE_SCALES])


def _estimate(criterion: CriterionFit, features: Matrix, novelty: float) -> Estimate:
    """The nearest level to what the ridge says, and how much of the error's normal curve falls to it.

    The curve is the wider the less like the labelled answers the essay is.
    """
    position = min(float(criterion.top), max(0.0, float(criterion.ridge.predict(features[None, :])[0])))
    level = math.floor(position + 0.5)
    error = criterion.error * (1 + novelty)
    above = 1.0 if level == criterion.top else _below((level + 0.5 - position) / error)
    below = 0.0 if level == 0 else _below((level - 0.5 - position) / error)
    return Estimate(level, above - below)


def _below(deviations: float) -> float:
    """The share of a normal distribution below so many standard deviations."""
    return (1 + math.erf(deviations / math.sqrt(2))) / 2
