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
SURFACE_SCALES: Final = np.array([0.4, 0.45, 0.35, 0.4, 0.4, 0.06, 0.4, 0.06, 0.3, 0.7, 0.2, 0.03])
"""The usual difference of two answers to one question, in the order of `surface_features`. It is fixed, because eight
answers are too few to measure it."""
LANGUAGE_WEIGHTS: Final = (0.06, 0.17, 0.13, 0.11, 0.19, -0.01, -0.12, 0.03, 0.13, 0.27, 0.23, -0.42)
"""The weights of the surface features in a general score of the language: what people reward whatever the question. It
is a ridge regression on essays to other questions (`docs/grading.md`), with a standard deviation of 1 among the essays
to a question."""
LENGTH_WEIGHTS: Final = (0.27, 0.27, 0.27, 0.27, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""The weights in a general score of the length: words, sentences, distinct words and distinct long words in equal
parts. It is not fitted."""
GENERAL_WEIGHTS: Final = np.array([LANGUAGE_WEIGHTS, LENGTH_WEIGHTS]).T
LONG_WORD: Final = 7
LONGEST_MEAN: Final = 15.0

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_APOSTROPHE: Final = re.compile("['’]")
_COMMA: Final = re.compile("[,;:]")
_BEGINNING: Final = re.compile(r"\s*[\"“'(]?[A-Z0-9]")
_CONNECTIVES: Final = frozenset(
    _WORD.findall(
        "also although another because besides but consequently despite example finally first furthermore hence "
        "however if instead moreover nevertheless next second since so then therefore third though thus unless "
        "whereas while"
    )
)
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


def describe(texts: Sequence[str], vectors: Matrix, known_words: frozenset[str] = frozenset()) -> AnswerFeatures:
    """Compute the features of answers from their texts and the vectors of the texts."""
    return AnswerFeatures(
        meaning=vectors,
        letters=_LETTERS.transform(texts),
        words=_WORDS.transform(texts),
        surface=np.stack([surface_features(text, known_words) for text in texts]) / SURFACE_SCALES,
    )


def content_similarity(some: AnswerFeatures, others: AnswerFeatures) -> Matrix:
    """Return weighted sums of inner products: one row for each of `some`, one column for each of `others`."""
    return np.asarray(
        MEANING_WEIGHT * some.meaning @ others.meaning.T
        + LETTERS_WEIGHT * (some.letters @ others.letters.T).toarray()
        + WORDS_WEIGHT * (some.words @ others.words.T).toarray()
    )


def surface_similarity(some: AnswerFeatures, others: AnswerFeatures) -> Matrix:
    """Return the mean products of the surface features."""
    return np.asarray(some.surface @ others.surface.T / len(SURFACE_SCALES))


def general_scores(answers: AnswerFeatures) -> Matrix:
    """Return two scores for each answer that do not depend on the question: of its language, and of its length."""
    return np.asarray(answers.surface @ GENERAL_WEIGHTS)


def surface_features(text: str, known_words: frozenset[str] = frozenset()) -> Matrix:
    """Return 12 numbers about length, vocabulary, sentences, connectives and spelling; repeated sentences count once.

    Words that are not in `known_words` count as rare or misspelled. Without known words this feature is 0.
    """
    parts = [part for part in _SENTENCE_END.split(text) if part.strip()]
    sentences = list(dict.fromkeys(" ".join(part.lower().split()) for part in parts))
    distinct = " ".join(sentences)
    words = _WORD.findall(distinct)
    vocabulary, count = set(words), max(1, len(words))
    long_words = [word for word in words if len(word) >= LONG_WORD]
    unknown = [word for word in words if _APOSTROPHE.split(word)[0] not in known_words] if known_words else []
    return np.array(
        [
            math.log1p(len(words)),
            math.log1p(len(sentences)),
            math.log1p(len(vocabulary)),
            math.log1p(len(set(long_words))),
            min(LONGEST_MEAN, sum(map(len, words)) / count),
            len(long_words) / count,
            math.log1p(count / max(1, len(sentences))),
            min(1.0, len(_COMMA.findall(distinct)) / count),
            math.log1p(len(_CONNECTIVES & vocabulary)),
            len(vocabulary) / math.sqrt(2 * count),
            sum(_BEGINNING.match(part) is not None for part in parts) / max(1, len(parts)),
            len(unknown) / count,
        ]
    )
