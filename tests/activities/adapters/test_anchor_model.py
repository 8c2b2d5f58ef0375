"""The model of one question, with vectors that are made up instead of MiniLM's."""

import numpy as np

from activities.adapters.local_grader.anchor_model import DISTANT_DEVIATIONS, Fit, fit
from domain.assessments.questions import Anchor
from tests.activities.adapters.local_grader_builders import an_essay
from tests.domain.builders import criterion, essay, levels

AXES = np.eye(20)
UNLIKE = AXES[1]
ALIKE = 0.8 * AXES[0] + 0.6 * AXES[2:]
"""Vectors that are equally similar to each other, and not similar to UNLIKE."""


def a_text(sentences: int) -> str:
    """Return a text with 12 or 13 words a sentence."""
    return " ".join(
        f"We counted {place} orders of the shop{' again' * (place % 2)} and compared them with the week before."
        for place in range(sentences)
    )


def a_fit() -> Fit:
    """Fit five answers of about 100 words on average; the longer ones have higher levels of 0..20."""
    names = [str(number) for number in range(21)]
    answers = {4: "6", 6: "10", 8: "8", 10: "12", 12: "14"}
    labelled = tuple(Anchor(text=a_text(length), levels={"cause": level}) for length, level in answers.items())
    rubric = essay(criterion("cause", levels=levels(*range(21), names=names)))
    return fit(an_essay("", rubric, labelled=labelled), np.vstack([ALIKE[: len(labelled)], np.zeros((2, 20))]))


def test_a_long_text_that_is_unlike_the_labelled_answers_gains_less_by_its_length() -> None:
    fitted = a_fit()

    (like,), (unlike,) = (fitted.estimate(a_text(12), vector) for vector in (ALIKE[-1], UNLIKE))

    assert fitted.is_unrelated(UNLIKE, DISTANT_DEVIATIONS)
    assert not fitted.is_unrelated(ALIKE[-1], DISTANT_DEVIATIONS)
    assert unlike.level < like.level


def test_a_short_text_that_is_unlike_the_labelled_answers_gains_nothing_by_that() -> None:
    fitted = a_fit()

    (like,), (unlike,) = (fitted.estimate(a_text(5), vector) for vector in (ALIKE[-1], UNLIKE))

    assert unlike.level <= like.level
