"""Find passages of an answer that an earlier answer of another student to the same question contains.

Each answer has a fingerprint: a few hashes of five words in a row. Answers that share hashes are candidates, and only
their texts are compared. Time and memory are linear in the length of the texts.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from operator import or_
from typing import Final, Protocol
from uuid import UUID

from domain.assessments.questions import EssayRubric
from domain.decimals import rounded
from domain.grading.essay_text import rubric_texts, sanitize, sentences
from domain.grading.scores import CopiedFrom
from domain.grading.wording import RUN_WORDS, cached_runs_of, words_of
from domain.sweeps import Cursor

COPIED_ANSWER: Final = "copied_answer"
"""The flag of an answer with passages of another student's earlier answer."""

SHINGLE: Final = 5
MOST_SHINGLES: Final = 48
"""The words of a shingle, and the most shingles in a fingerprint. A fingerprint has the lowest hashes of an answer, so
the same passage puts the same hashes into the fingerprints of two answers."""
COMMON: Final = 16
"""A shingle that this many answers to the question contain is common. A passage with only common shingles is a usual
phrase."""
MOST_SOURCES: Final = 5
"""An answer is compared with at most this many others: those with most shingles in common, rare ones above all."""
PASSAGE: Final = 15
"""The fewest words of a copied passage. It consists of shared shingles, with at most one other word between two."""
LONG_PASSAGE: Final = 30
COPIED_SHARE: Final = Fraction(1, 5)
"""An answer is flagged if a copied passage has `LONG_PASSAGE` words, or if this share of the answer is copied."""
FEWEST_WORDS: Final = 30
"""Students may find the same words for parts of a shorter answer. It is flagged only if it equals the other answer."""
FEWEST_EQUAL: Final = 10
"""The fewest words, without those of the question, of a short answer that is flagged because it equals another one."""
COPIED_TOGETHER: Final = Fraction(1, 2)
"""From this copied share on, usual phrases count too: many students have copied the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAnswer:
    """An earlier answer of another student of the organization to the same question."""

    assessment_id: UUID
    snapshot_id: UUID
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAnswers:
    """The answers that an answer is compared with, and its common shingles."""

    answers: tuple[OtherAnswer, ...] = ()
    common: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAnswers:
    """The answers of an assessment with a result, and whether an essay among them has no fingerprint."""

    assessment_id: UUID
    published_at: datetime
    missing: bool


class Fingerprints(Protocol):
    """The repository of the fingerprints of answers."""

    async def add(self, assessment_id: UUID, shingles: Mapping[UUID, Sequence[int]]) -> dict[UUID, OtherAnswers]:
        """Store the fingerprints of the assessment's answers, by snapshot id, and return what each is compared with.

        Stored fingerprints do not change. Answers of erased users and deleted answers are left out, and nothing is
        stored while the user is being erased. One statement.
        """
        ...

    async def published(self, *, after: Cursor | None, older_than_s: float, limit: int) -> tuple[PublishedAnswers, ...]:
        """Return the next `limit` assessments with a result, by the time of the first result and then by id.

        Results that are not older than `older_than_s` (seconds) are left out. An essay of fewer words than a shingle
        has no fingerprint, so it is always missing.
        """
        ...


def fingerprint(text: str, prompt: str, rubric: EssayRubric) -> tuple[int, ...]:
    """Return the answer's shingles as signed 64-bit hashes, without those of the question and the rubric."""
    words = words_of(sanitize(text))
    return tuple(sorted(set(_fingerprint(words, _of_question(words, prompt, rubric)).values())))


def find_copies(text: str, prompt: str, rubric: EssayRubric, others: OtherAnswers) -> tuple[CopiedFrom, ...]:
    """Return the other answers that the text copies, the largest share first; () if it must not be flagged."""
    words = words_of(sanitize(text))
    found = _copied(words, prompt, rubric, others)
    copied = _any_of(found, len(words))
    longest = max(map(len, _spans(copied)), default=0)
    if not any(copied) or (longest < LONG_PASSAGE and sum(copied) < COPIED_SHARE * len(words)):
        return ()
    sources = [
        CopiedFrom(
            assessment_id=other.assessment_id,
            snapshot_id=other.snapshot_id,
            share=rounded(Fraction(sum(mine), len(words))),
        )
        for other, mine in zip(others.answers, found, strict=True)
        if any(mine)
    ]
    return tuple(sorted(sources, key=lambda source: (-source.share, source.snapshot_id)))


def without_copies(text: str, prompt: str, rubric: EssayRubric, others: OtherAnswers) -> str:
    """Return the sentences of the text of which at most half is copied from the other answers."""
    parts = sentences(sanitize(text))
    words = [words_of(part) for part in parts]
    said = [word for part in words for word in part]
    copied = iter(_any_of(_copied(said, prompt, rubric, others), len(said)))
    drop = [2 * sum(next(copied) for _ in part) > len(part) for part in words]
    return "".join(part for part, is_copied in zip(parts, drop, strict=True) if not is_copied).strip()


def _copied(words: Sequence[str], prompt: str, rubric: EssayRubric, others: OtherAnswers) -> list[list[bool]]:
    """Return for each other answer which words are copied from it.

    Words of the question and the rubric are not copied, and neither are usual phrases. A short answer is copied only
    from an equal one.
    """
    asked = _of_question(words, prompt, rubric)
    found = []
    for other in others.answers:
        said = words_of(sanitize(other.text))
        if len(words) < FEWEST_WORDS:
            own = [words == said and not no for no in asked]
            found.append(own if sum(own) >= FEWEST_EQUAL else [False] * len(words))
            continue
        known = frozenset(run for _, run in _runs(said, SHINGLE))
        shared = _with_changed_words(_covered(words, known, SHINGLE))
        own = [yes and not no for yes, no in zip(shared, asked, strict=True)]
        found.append(_without(own, [span for span in _spans(own) if len(span) < PASSAGE]))
    if sum(_any_of(found, len(words))) >= COPIED_TOGETHER * len(words):
        return found
    shingles = _fingerprint(words, asked)
    return [_without(own, [s for s in _spans(own) if _is_usual(s, shingles, others.common)]) for own in found]


def _is_usual(span: range, shingles: Mapping[int, int], common: frozenset[int]) -> bool:
    inside = {shingles[start] for start in span[: 1 - SHINGLE] if start in shingles}
    return bool(inside) and inside <= common


def _fingerprint(words: Sequence[str], asked: Sequence[bool]) -> dict[int, int]:
    """Return the hashes of the fingerprint by their place."""
    found = {start: _hash(run) for start, run in _runs(words, SHINGLE) if not any(asked[start : start + SHINGLE])}
    lowest = set(sorted(set(found.values()))[:MOST_SHINGLES])
    return {start: shingle for start, shingle in found.items() if shingle in lowest}


def _hash(run: tuple[str, ...]) -> int:
    digest = hashlib.blake2b(" ".join(run).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _of_question(words: Sequence[str], prompt: str, rubric: EssayRubric) -> list[bool]:
    return _covered(words, cached_runs_of(prompt, *rubric_texts(rubric)), RUN_WORDS)


def _covered(words: Sequence[str], known: frozenset[tuple[str, ...]], length: int) -> list[bool]:
    """Return for each word whether it is in a known run of `length` words."""
    covered = [False] * len(words)
    for start, run in _runs(words, length):
        if run in known:
            covered[start : start + length] = [True] * length
    return covered


def _with_changed_words(shared: Sequence[bool]) -> list[bool]:
    """Mark each single word between two marked ones too."""
    around = zip([False, *shared[:-1]], shared, [*shared[1:], False], strict=True)
    return [here or (before and after) for before, here, after in around]


def _any_of(marks: Sequence[Sequence[bool]], length: int) -> list[bool]:
    merged = [False] * length
    for each in marks:
        merged = list(map(or_, merged, each))
    return merged


def _without(marks: Sequence[bool], spans: Sequence[range]) -> list[bool]:
    left = list(marks)
    for span in spans:
        left[span.start : span.stop] = [False] * len(span)
    return left


def _spans(marks: Sequence[bool]) -> Iterator[range]:
    """Yield the places of each run of marks."""
    for marked, run in groupby(range(len(marks)), key=marks.__getitem__):
        if marked:
            places = list(run)
            yield range(places[0], places[-1] + 1)


def _runs(words: Sequence[str], length: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each run of `length` words with its place."""
    return enumerate(zip(*(words[start:] for start in range(length)), strict=False))
