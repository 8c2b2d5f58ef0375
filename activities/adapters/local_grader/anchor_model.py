"""A model of one question, fitted to its labelled answers.

It estimates a level per criterion by similarity to the labelled answers and detects texts that are unrelated to them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from activities.adapters.local_grader.gaussian_process import Estimate, LevelProcess, fit_levels
from activities.adapters.local_grader.text_features import AnswerFeatures, Matrix, describe, similarity
from domain.assessments.questions import Anchor, Criterion
from domain.grading.essay_text import is_too_short
from domain.grading.rubrics import Essay

DESCRIPTOR_WEIGHT: Final = 30.0
"""Chosen together with the other weights by leave-one-out on the project's labelled answers (8 for each of 10
questions): quadratic kappa 0.59, exact 0.42, adjacent 0.95. These figures are optimistic, because the weights were
chosen on the same answers."""
UNRELATED_DEVIATIONS: Final = 2.5
USUAL_DEVIATION: Final = 0.15
USUAL_DEVIATION_WEIGHT: Final = 4
"""An answer is unrelated when its mean cosine similarity to the labelled answers is 2.5 standard deviations below their
median similarity to each other. The prior for the deviation is 0.15 of that median, with the weight of 4 answers.
Measured on the labelled answers of ten questions: 98 % of 720 answers to another question are detected, and 1 of 80
answers to the same question is wrongly flagged."""
NOT_AN_ANSWER_PRIOR: Final = 0.2
NOT_AN_ANSWER_PRIOR_WEIGHT: Final = 4
"""The prior probability that the lowest level is right for a text that is unrelated or too short, with the weight of 4
labelled answers. It was right for 21 % of the criteria of essays that were not used to choose the weights."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted model of a question.

    `descriptors` contains for each criterion the unit vectors of its lowest and highest level. `surface_range` is the
    minimum and maximum of the labelled answers' surface features; values outside it are clipped. `not_an_answer` is the
    lowest level of each criterion, with the probability that it is right for a text that is unrelated or too short,
    measured by leave-one-out on the labelled answers.
    """

    labelled: tuple[Anchor, ...]
    answers: AnswerFeatures
    surface_range: tuple[Matrix, Matrix]
    least_relatedness: float
    descriptors: tuple[Matrix, ...]
    criteria: tuple[LevelProcess, ...]
    not_an_answer: tuple[Estimate, ...]

    def nearest(self, vector: Matrix) -> tuple[Anchor, float]:
        """Return the labelled answer with the most similar meaning, and the cosine similarity."""
        cosines = self.answers.meaning @ vector
        best = int(np.argmax(cosines))
        return self.labelled[best], float(cosines[best])

    def is_unrelated(self, vector: Matrix) -> bool:
        """Whether a text is much less similar to the labelled answers than these are to each other."""
        return float((self.answers.meaning @ vector).mean()) < self.least_relatedness

    def estimate(self, text: str, vector: Matrix) -> list[Estimate]:
        """Estimate a level per criterion for a text and its vector."""
        one = describe([text], vector[None, :])
        one = replace(one, surface=np.clip(one.surface, *self.surface_range))
        common, own = similarity(one, self.answers)[0], float(similarity(one, one)[0, 0])
        return [
            process.estimate(
                common + (_by_descriptors(one, low_high) @ _by_descriptors(self.answers, low_high).T)[0],
                own + float(np.square(_by_descriptors(one, low_high)).sum()),
            )
            for process, low_high in zip(self.criteria, self.descriptors, strict=True)
        ]


def labelled_answers(essay: Essay) -> tuple[Anchor, ...]:
    """Return the rubric's labelled answers, then those that reviewers have scored."""
    return (*essay.rubric.anchors, *essay.labelled)


def fit_texts(essay: Essay) -> list[str]:
    """Return the texts whose vectors `fit` needs: labelled answers, then each criterion's two extreme descriptors."""
    descriptors = [criterion.levels[end].descriptor for criterion in essay.rubric.criteria for end in (0, -1)]
    return [*(answer.text for answer in labelled_answers(essay)), *descriptors]


def fit(essay: Essay, vectors: Matrix) -> Fit:
    """Fit a question with at least 2 labelled answers; `vectors` are those of `fit_texts`."""
    labelled = labelled_answers(essay)
    answers = describe([answer.text for answer in labelled], vectors[: len(labelled)])
    descriptors = tuple(vectors[len(labelled) :].reshape(len(essay.rubric.criteria), 2, -1))
    common = similarity(answers, answers)
    return Fit(
        labelled=labelled,
        answers=answers,
        surface_range=(answers.surface.min(axis=0), answers.surface.max(axis=0)),
        least_relatedness=_least_relatedness(answers.meaning @ answers.meaning.T),
        descriptors=descriptors,
        criteria=tuple(
            _fit_criterion(criterion, labelled, common, _by_descriptors(answers, low_high))
            for criterion, low_high in zip(essay.rubric.criteria, descriptors, strict=True)
        ),
        not_an_answer=_not_an_answer(essay, labelled, answers.meaning @ answers.meaning.T),
    )


def _fit_criterion(
    criterion: Criterion, labelled: Sequence[Anchor], common: Matrix, by_descriptors: Matrix
) -> LevelProcess:
    names = [level.name for level in criterion.levels]
    levels = np.array([names.index(answer.levels[criterion.key]) for answer in labelled], dtype=np.float64)
    return fit_levels(common + by_descriptors @ by_descriptors.T, levels, len(names) - 1)


def _by_descriptors(answers: AnswerFeatures, low_high: Matrix) -> Matrix:
    """Return two columns: similarity to the best descriptor, and its difference to that of the worst."""
    low, high = low_high
    columns: Matrix = np.stack([answers.meaning @ high, answers.meaning @ (high - low)], axis=1)
    return math.sqrt(DESCRIPTOR_WEIGHT) * columns


def _not_an_answer(essay: Essay, labelled: Sequence[Anchor], cosines: Matrix) -> tuple[Estimate, ...]:
    judged = [
        answer
        for place, answer in enumerate(labelled)
        if _is_unrelated_to_others(cosines, place) or _is_too_short_for_others(essay, labelled, place)
    ]
    chances = []
    for criterion in essay.rubric.criteria:
        right = sum(answer.levels[criterion.key] == criterion.levels[0].name for answer in judged)
        expected = NOT_AN_ANSWER_PRIOR * NOT_AN_ANSWER_PRIOR_WEIGHT
        chances.append((expected + right) / (NOT_AN_ANSWER_PRIOR_WEIGHT + len(judged)))
    return tuple(Estimate(level=0, confidence=chance) for chance in chances)


def _is_unrelated_to_others(cosines: Matrix, place: int) -> bool:
    """Whether the labelled answer at `place` counts as unrelated to the other ones."""
    others = np.delete(np.arange(len(cosines)), place)
    return float(cosines[place, others].mean()) < _least_relatedness(cosines[np.ix_(others, others)])


def _is_too_short_for_others(essay: Essay, labelled: Sequence[Anchor], place: int) -> bool:
    others = [*labelled[:place], *labelled[place + 1 :]]
    return is_too_short(labelled[place].text, replace(essay.rubric, anchors=()), others)


def _least_relatedness(cosines: Matrix) -> float:
    others = (cosines.sum(axis=1) - cosines.diagonal()) / (len(cosines) - 1)
    median = float(np.median(others))
    usual = USUAL_DEVIATION_WEIGHT * (USUAL_DEVIATION * median) ** 2
    variance = (len(others) * float(others.var()) + usual) / (len(others) + USUAL_DEVIATION_WEIGHT)
    return median - UNRELATED_DEVIATIONS * math.sqrt(variance)
