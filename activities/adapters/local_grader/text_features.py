"""Features of answers: meaning, wording and surface."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

Matrix = NDArray[np.float64]

MEANING_WEIGHT: Final = 0.4
LETTERS_WEIGHT: Final = 0.3
WORDS_WEIGHT: Final = 0.3
SURFACE_WEIGHT: Final = 0.05
"""A low weight, although length correlates with quality: with a higher one, padding would raise the score."""
SURFACE_SCALES: Final = np.array([0.35, 0.8, 0.25, 0.6])
"""The usual difference of two answers to one question, in the order of `surface_features`. It is fixed, because eight
answers are too few to measure it."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_NUMBER: Final = re.compile(r"\d+")
_SENTENCE_END: Final = re.compile(r"(?<![.!?…])[.!?…]+(?=\s|$)|\n+")

_HASHED: Final = {"n_features": 2**15, "alternate_sign": False, "binary": True}
_LETTERS: Final = HashingVectorizer(analyzer="char_wb", ngram_range=(4, 4), **_HASHED)
_WORDS: Final = HashingVectorizer(
    token_pattern=r"\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s]",  # noqa: S106  # no password
    ngram_range=(1, 2),
    **_HASHED,
)
"""Single words, numbers and signs, and pairs of them. One of them may decide whether a short answer is right."""


@dataclass(frozen=True, slots=True)
class AnswerFeatures:
    """One row per answer. `meaning` has unit vectors; `letters` and `words` have sparse unit rows, or zeros."""

    meaning: Matrix
    letters: Any  # scipy has no types for its sparse matrices
    words: Any
    surface: Matrix


def describe(texts: Sequence[str], vectors: Matrix) -> AnswerFeatures:
    """Compute the features of answers from their texts and the vectors of the texts."""
    return AnswerFeatures(
        meaning=vectors,
        letters=_LETTERS.transform(texts),
        words=_WORDS.transform(texts),
        surface=np.stack([surface_features(text) for text in texts]) / SURFACE_SCALES,
    )


def similarity(some: AnswerFeatures, others: AnswerFeatures) -> Matrix:
    """Return weighted sums of inner products: one row for each of `some`, one column for each of `others`."""
    return np.asarray(
        MEANING_WEIGHT * some.meaning @ others.meaning.T
        + LETTERS_WEIGHT * (some.letters @ others.letters.T).toarray()
        + WORDS_WEIGHT * (some.words @ others.words.T).toarray()
        + SURFACE_WEIGHT * some.surface @ others.surface.T
    )


def surface_features(text: str) -> Matrix:
    """Return log words, log sentences, type-token ratio and numbers per ten words; repeated sentences count once."""
    sentences = list(dict.fromkeys(" ".join(part.lower().split()) for part in _SENTENCE_END.split(text)))
    distinct = " ".join(sentences)
    words = _WORD.findall(distinct)
    count = max(1, len(words))
    numbers = len(_NUMBER.findall(distinct))
    return np.array([math.log1p(len(words)), math.log1p(len(sentences)), len(set(words)) / count, 10 * numbers / count])
