"""Choose reviewed answers of other students that a language model sees as examples.

Likeness is counted in words and not measured with MiniLM: the candidates all answer the same question, MiniLM reads
English only while a language model grades every language, and the workers that call the model have no MiniLM.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from domain.grading.essay_text import TEXT_FLAGS, TOO_SHORT, text_flags
from domain.grading.ledger import CompletionKey
from domain.grading.name_masking import mask_author
from domain.grading.rubrics import Essay, Example
from domain.grading.wording import words_of
from domain.unicode_text import latin_length

EXAMPLES_LENGTH: Final = 8_000
WITH_ANSWER_LENGTH: Final = 24_000
"""The longest that all examples of a prompt are together, and together with the answer, in Latin letters (about four to
a token). An example that does not fit is left out: a part of an answer would not earn the levels of the whole."""

UNSUITABLE: Final = frozenset(TEXT_FLAGS) - {TOO_SHORT}
"""Flags of answers that are never examples: they may address the grader, or have copied or hidden text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedAnswer:
    """A reviewed answer of another student. `author_name` and `author_email` are masked in the text of the example.

    `moved`: the reviewer changed a level that a language model had given.
    """

    review_id: UUID
    text: str
    levels: Mapping[str, str]
    moved: bool
    flags: tuple[str, ...]
    author_name: str | None
    author_email: str


class GradingExamples(Protocol):
    """The repository of reviewed answers as examples, and of the choices that were made.

    Answers are those of other students of the same organization to the same version of the question. Answers of erased
    users and deleted answers are left out.
    """

    async def candidates(self, key: CompletionKey) -> tuple[ReviewedAnswer, ...]:
        """Return the newest reviewed answers, each with its newest review. At most 64."""
        ...

    async def reviewed(self, key: CompletionKey, reviews: Sequence[UUID]) -> tuple[ReviewedAnswer, ...]:
        """Return the answers of these reviews, in that order. Those that can no longer be used are left out."""
        ...

    async def chosen(self, key: CompletionKey) -> tuple[UUID, ...] | None:
        """Return the stored choice, or None if nothing is stored."""
        ...

    async def choose(self, key: CompletionKey, reviews: Sequence[UUID]) -> tuple[UUID, ...]:
        """Store a choice, unless one is stored. Return the stored one."""
        ...

    async def drop(self, key: CompletionKey) -> None:
        """Replace the stored choice by one without examples."""
        ...


def choose_examples(essay: Essay, answers: Sequence[ReviewedAnswer], most: int) -> tuple[Example, ...]:
    """Return at most `most` examples, the most similar first.

    One of them is an answer whose review moved a language model's level, if there is a suitable one.
    """
    likeness = _likeness(essay.text, [answer.text for answer in answers])
    pairs = sorted(zip(likeness, answers, strict=True), key=lambda pair: (-pair[0], pair[1].review_id))
    ranked = [answer for _, answer in pairs]
    room = min(EXAMPLES_LENGTH, WITH_ANSWER_LENGTH - latin_length(essay.text))
    moved = _fitting(essay, [answer for answer in ranked if answer.moved], min(1, most), room)
    room -= sum(latin_length(each.text) for each in moved)
    taken = {each.review_id for each in moved}
    others = [answer for answer in ranked if answer.review_id not in taken]
    chosen = {each.review_id: each for each in (*moved, *_fitting(essay, others, most - len(moved), room))}
    return tuple(chosen[answer.review_id] for answer in ranked if answer.review_id in chosen)


def as_examples(answers: Sequence[ReviewedAnswer]) -> tuple[Example, ...]:
    return tuple(map(_example, answers))


def _example(answer: ReviewedAnswer) -> Example:
    text = mask_author(answer.text, name=answer.author_name, email=answer.author_email)
    return Example(review_id=answer.review_id, text=text, levels=answer.levels)


def _fitting(essay: Essay, answers: Sequence[ReviewedAnswer], most: int, room: int) -> list[Example]:
    """Return the first suitable answers that fit into `room` together."""
    fitting: list[Example] = []
    for answer in answers:
        if len(fitting) == most:
            break
        example = _example(answer)
        if (length := latin_length(example.text)) <= room and _is_suitable(essay, answer):
            fitting.append(example)
            room -= length
    return fitting


def _is_suitable(essay: Essay, answer: ReviewedAnswer) -> bool:
    return UNSUITABLE.isdisjoint({*answer.flags, *text_flags(answer.text, essay.prompt, essay.rubric)})


def _likeness(text: str, others: Sequence[str]) -> list[float]:
    """Return the cosine similarity of the text to each other text. Words that many of the texts share count less."""
    counts = [Counter(words_of(each)) for each in (text, *others)]
    known_in = Counter(word for each in counts for word in each)
    rarity = {word: 1 + math.log((1 + len(counts)) / (1 + number)) for word, number in known_in.items()}
    own, *rest = [{word: (1 + math.log(n)) * rarity[word] for word, n in each.items()} for each in counts]
    return [_cosine(own, each) for each in rest]


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    shared = sum(weight * other[word] for word, weight in one.items() if word in other)
    return shared / (math.hypot(*one.values()) * math.hypot(*other.values())) if shared else 0.0
