"""What a question's labelled answers teach: a level per criterion by likeness to them, and what is unrelated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from activities.adapters.local_grader.gaussian_process import Estimate, LevelProcess, fit_levels
from activities.adapters.local_grader.text_features import Answers, Matrix, describe, likeness
from domain.assessments.questions import Anchor, Criterion
from domain.grading.essay_text import is_too_short
from domain.grading.rubrics import Essay

DESCRIPTOR_WEIGHT: Final = 30.0
"""Chosen with the other weights by leave-one-out on the project's labelled answers (8 for each of 10 questions), which
flatters: quadratic kappa 0.59, exact 0.42, adjacent 0.95."""
UNRELATED_DEVIATIONS: Final = 2.5
USUAL_DEVIATION: Final = 0.15
USUAL_DEVIATION_WEIGHT: Final = 4
"""An answer is unrelated when its mean cosine with the labelled answers is so many standard deviations below theirs
with each other; the deviation, usually this share of their median, counts as that many answers. Measured with the
labelled answers of ten questions: of 720 that answer another question 98 % are found, and 1 of 80 that do not."""
NOT_AN_ANSWER_PRIOR: Final = 0.2
NOT_AN_ANSWER_PRIOR_WEIGHT: Final = 4
"""The chance that the lowest level is right for a text that is unrelated or too short, and how many labelled answers
that guess counts as. It was right for 21 % of the criteria of essays that no weight was chosen by."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A question, fitted. `descriptors` are each criterion's lowest and highest level as unit rows.

    `surface_range` is what the labelled answers span (minimum, maximum): beyond it length and the like count no more.
    `not_an_answer` is the lowest level of each criterion, with the chance that it is right for a text that is unrelated
    or too short, measured by leave-one-out on the labelled answers.
    """

    labelled: tuple[Anchor, ...]
    answers: Answers
    surface_range: tuple[Matrix, Matrix]
    least_relatedness: float
    descriptors: tuple[Matrix, ...]
    criteria: tuple[LevelProcess, ...]
    not_an_answer: tuple[Estimate, ...]

    def nearest(self, vector: Matrix) -> tuple[Anchor, float]:
        """The labelled answer that means most nearly the same, and its cosine."""
        cosines = self.answers.meaning @ vector
        best = int(np.argmax(cosines))
        return self.labelled[best], float(cosines[best])

    def is_unrelated(self, vector: Matrix) -> bool:
        """Whether a text is less like the labelled answers than these are like each other."""
        return float((self.answers.meaning @ vector).mean()) < self.least_relatedness

    def estimate(self, text: str, vector: Matrix) -> list[Estimate]:
        """A level per criterion for a text and its vector."""
        one = describe([text], vector[None, :])
        one = replace(one, surface=np.clip(one.surface, *self.surface_range))
        common, own = likeness(one, self.answers)[0], float(likeness(one, one)[0, 0])
        return [
            process.estimate(
                common + (_by_descriptors(one, low_high) @ _by_descriptors(self.answers, low_high).T)[0],
                own + float(np.square(_by_descriptors(one, low_high)).sum()),
            )
            for process, low_high in zip(self.criteria, self.descriptors, strict=True)
        ]


def labelled_answers(essay: Essay) -> tuple[Anchor, ...]:
    """The rubric's own, then those that people have scored."""
    return (*essay.rubric.anchors, *essay.labelled)


def fit_texts(essay: Essay) -> list[str]:
    """The texts whose vectors `fit` takes: labelled answers, then each criterion's extreme descriptors."""
    descriptors = [criterion.levels[end].descriptor for criterion in essay.rubric.criteria for end in (0, -1)]
    return [*(answer.text for answer in labelled_answers(essay)), *descriptors]


def fit(essay: Essay, vectors: Matrix) -> Fit:
    """Fits an essay's question with at least 2 labelled answers to the vectors of `fit_texts`."""
    labelled = labelled_answers(essay)
    answers = describe([answer.text for answer in labelled], vectors[: len(labelled)])
    descriptors = tuple(vectors[len(labelled) :].reshape(len(essay.rubric.criteria), 2, -1))
    common = likeness(answers, answers)
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


def _by_descriptors(answers: Answers, low_high: Matrix) -> Matrix:
    """For each answer how much it is like the best, and how much more than like the worst; two columns."""
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
    """Whether the answer at `place` counts as unrelated when it is left out of the labelled answers."""
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
