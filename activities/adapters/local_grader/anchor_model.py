"""A model of one question, fitted to its labelled answers.

It estimates a level per criterion by similarity to the labelled answers and detects texts that are unrelated to them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from activities.adapters.local_grader.gaussian_process import Blocks, Estimate, Labels, LevelProcess, Priors, fit_levels
from activities.adapters.local_grader.text_features import (
    AnswerFeatures,
    Matrix,
    content_similarity,
    describe,
    general_scores,
    surface_similarity,
)
from domain.assessments.questions import Anchor, Criterion
from domain.grading.rubrics import Essay

ESSAY_WORDS: Final = 100
SURFACE_PENALTY: Final = 8.0
"""Answers shorter than 100 words are less likely to be judged by their surface. The penalty is multiplied by the
logarithm of how much shorter the labelled answers are on average."""
ESSAY_KAPPA: Final = 4.0
"""A short answer is right or wrong, so exact agreement counts as much as quadratic kappa. The weight of kappa rises
with the square of the length from 1 at 50 words to 4 at 100 words."""
GENERAL_SLOPE: Final = 0.6
GENERAL_FROM: Final = 60
GENERAL_FULLY: Final = 100
"""The expected correlation of levels with a general score of essays. It rises from 0 at 60 words to 0.6 at 100 words.
Levels of shorter answers depend on their contents."""
UNRELATED_DEVIATIONS: Final = 4.5
DISTANT_DEVIATIONS: Final = 2.5
NEAREST: Final = 3
USUAL_DEVIATION: Final = 0.15
USUAL_DEVIATION_WEIGHT: Final = 4
"""An answer is distant or unrelated when its mean similarity to the three closest labelled answers is this number of
standard deviations below the median of the labelled answers. The prior for the deviation is 0.15 of that median, with
the weight of 4 answers. `docs/grading.md` has the shares of honest and of foreign answers that are flagged."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted model of a question.

    `descriptors` contains for each criterion the unit vectors of its lowest and highest level. `surface_range` is the
    minimum and maximum of the labelled answers' surface features; values outside it are clipped. `relatedness` is the
    median of the labelled answers' similarity to the closest others, and its standard deviation. `longest` is the
    number of words of the longest labelled answer.
    """

    labelled: tuple[Anchor, ...]
    longest: int
    known_words: frozenset[str]
    answers: AnswerFeatures
    surface_range: tuple[Matrix, Matrix]
    relatedness: tuple[float, float]
    descriptors: tuple[Matrix, ...]
    criteria: tuple[LevelProcess, ...]

    def nearest(self, vector: Matrix) -> tuple[Anchor, float]:
        """Return the labelled answer with the most similar meaning, and the cosine similarity."""
        cosines = self.answers.meaning @ vector
        best = int(np.argmax(cosines))
        return self.labelled[best], float(cosines[best])

    def is_unrelated(self, vector: Matrix, deviations: float = UNRELATED_DEVIATIONS) -> bool:
        """Whether a text is much less similar to the labelled answers than these are to each other."""
        median, deviation = self.relatedness
        return float(_closest(self.answers.meaning @ vector)) < median - deviations * deviation

    def estimate(self, text: str, vector: Matrix) -> list[Estimate]:
        """Estimate a level per criterion for a text and its vector.

        A text that is distant from all labelled answers gains nothing by a general score above their mean, because a
        long or well written text may be about something else.
        """
        one = describe([text], vector[None, :], self.known_words)
        one = replace(one, surface=np.clip(one.surface, *self.surface_range))
        content, own_content = content_similarity(one, self.answers)[0], content_similarity(one, one)[0, 0]
        surface, own_surface = surface_similarity(one, self.answers)[0], surface_similarity(one, one)[0, 0]
        general = general_scores(one)[0]
        if self.is_unrelated(vector, DISTANT_DEVIATIONS):
            general = np.minimum(general, general_scores(self.answers).mean(axis=0))
        found = []
        for process, low_high in zip(self.criteria, self.descriptors, strict=True):
            own = _by_descriptors(one, low_high)[0]
            row = _by_descriptors(self.answers, low_high) @ own
            others, itself = Blocks(content, row, surface), Blocks(own_content, own @ own, own_surface)
            found.append(process.estimate(others, itself, general))
        return found

    def most_excess(self, target_kappa: float) -> float:
        """Return the highest `excess_error` of an essay that needs no review.

        The labelled answers without a higher one have the quadratic kappa that is the target, by leave-one-out.
        """
        answers = zip(*(process.labelled for process in self.criteria), strict=True)
        excesses = np.sort([excess_error(estimates, target_kappa) for estimates in answers])
        enough = np.flatnonzero(np.cumsum(excesses) <= 0)
        return float(excesses[enough[-1]]) if enough.size else -math.inf


def excess_error(estimates: Sequence[Estimate], target_kappa: float) -> float:
    """Return how much an essay's expected error is above the error that is allowed by the target.

    Some essays together meet the target when the sum is at most 0.
    """
    return sum(each.error - (1 - target_kappa) * each.chance for each in estimates)


def labelled_answers(essay: Essay) -> tuple[Anchor, ...]:
    """Return the rubric's labelled answers, then those that reviewers have scored."""
    return (*essay.rubric.anchors, *essay.labelled)


def fit_texts(essay: Essay) -> list[str]:
    """Return the texts whose vectors `fit` needs: labelled answers, then each criterion's two extreme descriptors."""
    descriptors = [criterion.levels[end].descriptor for criterion in essay.rubric.criteria for end in (0, -1)]
    return [*(answer.text for answer in labelled_answers(essay)), *descriptors]


def fit(essay: Essay, vectors: Matrix, known_words: frozenset[str] = frozenset()) -> Fit:
    """Fit a question with at least 2 labelled answers; `vectors` are those of `fit_texts`."""
    labelled = labelled_answers(essay)
    texts = [answer.text for answer in labelled]
    answers = describe(texts, vectors[: len(labelled)], known_words)
    descriptors = tuple(vectors[len(labelled) :].reshape(len(essay.rubric.criteria), 2, -1))
    content, surface = content_similarity(answers, answers), surface_similarity(answers, answers)
    priors = _priors(texts)
    criteria = []
    for criterion, low_high in zip(essay.rubric.criteria, descriptors, strict=True):
        columns = _by_descriptors(answers, low_high)
        blocks = Blocks(content, columns @ columns.T, surface)
        labels = Labels(_levels(criterion, labelled), len(criterion.levels) - 1, len(essay.labelled))
        criteria.append(fit_levels(blocks, general_scores(answers), labels, priors))
    return Fit(
        labelled=labelled,
        longest=max(len(text.split()) for text in texts),
        known_words=known_words,
        answers=answers,
        surface_range=(answers.surface.min(axis=0), answers.surface.max(axis=0)),
        relatedness=_relatedness(answers.meaning @ answers.meaning.T),
        descriptors=descriptors,
        criteria=tuple(criteria),
    )


def _levels(criterion: Criterion, labelled: Sequence[Anchor]) -> Matrix:
    names = [level.name for level in criterion.levels]
    return np.array([names.index(answer.levels[criterion.key]) for answer in labelled], dtype=np.float64)


def _priors(texts: Sequence[str]) -> Priors:
    words = math.exp(sum(math.log1p(len(text.split())) for text in texts) / len(texts))
    return Priors(
        surface_penalty=SURFACE_PENALTY * max(0.0, math.log(ESSAY_WORDS / words)),
        kappa_weight=ESSAY_KAPPA * min(1.0, max(0.25, (words / ESSAY_WORDS) ** 2)),
        slope=GENERAL_SLOPE * min(1.0, max(0.0, (words - GENERAL_FROM) / (GENERAL_FULLY - GENERAL_FROM))),
    )


def _by_descriptors(answers: AnswerFeatures, low_high: Matrix) -> Matrix:
    """Return two columns: similarity to the best descriptor, and its difference to that of the worst."""
    low, high = low_high
    columns: Matrix = np.stack([answers.meaning @ high, answers.meaning @ (high - low)], axis=1)
    return columns


def _closest(cosines: Matrix) -> Matrix:
    """Return the mean of the three highest values on the last axis."""
    return np.asarray(np.sort(cosines, axis=-1)[..., -NEAREST:].mean(axis=-1))


def _relatedness(cosines: Matrix) -> tuple[float, float]:
    count = len(cosines)
    others = _closest(cosines[~np.eye(count, dtype=bool)].reshape(count, count - 1))
    median = float(np.median(others))
    usual = USUAL_DEVIATION_WEIGHT * (USUAL_DEVIATION * median) ** 2
    variance = (count * float(others.var()) + usual) / (count + USUAL_DEVIATION_WEIGHT)
    return median, math.sqrt(variance)
