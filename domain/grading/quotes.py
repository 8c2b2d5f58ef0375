"""Locate verified quotes in an answer: offsets in Unicode code points, so that `answer[start:end]` is the quote.

A quote is stored as the grader wrote it, and it was compared with the answer in a normal form
(`rubrics.normalized` of the sanitized text). So the quote may differ from the answer in invisible characters, white
space, quotation marks, dashes and Unicode normalization. A `QuoteLocator` builds the same normal form together with
the place of each of its characters in the answer. The text of a located quote is the answer's own.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from domain.grading.essay_text import sanitize
from domain.grading.rubrics import SIMILAR_MARKS, normalized
from domain.unicode_text import MAX_MARKS, MAX_NORMALIZED_CHARS, is_mark

_FIRST_NOT_ASCII: Final = "\x80"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedQuote:
    """A quote and its place. `start` and `end` None: the answer does not contain the quote in one piece."""

    text: str
    start: int | None = None
    end: int | None = None


class _Cluster(NamedTuple):
    """A part of the answer that is normalized as a whole, and the part's text before normalization."""

    start: int
    end: int
    text: str


class QuoteLocator:
    """Locate quotes in one answer. Building it and each search take time in proportion to the answer's length."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        normal: list[str] = []
        self._places: list[_Cluster] = []
        for character, cluster in islice(_normalized(answer), MAX_NORMALIZED_CHARS):
            blank = character.isspace()
            if blank and (not normal or normal[-1] == " "):
                continue
            normal.append(" " if blank else character)
            self._places.append(cluster)
        self._normal = "".join(normal)

    def locate(self, quote: str) -> LocatedQuote:
        """Return the first place of the quote, in the fewest whole clusters that contain it.

        A cluster is a character with its combining marks and the invisible characters after it.
        """
        wanted = normalized(sanitize(quote))
        first = self._normal.find(wanted) if wanted else -1
        if first < 0:
            return LocatedQuote(text=quote)
        start, end = self._places[first].start, self._places[first + len(wanted) - 1].end
        return LocatedQuote(text=self._answer[start:end], start=start, end=end)


def _normalized(answer: str) -> Iterator[tuple[str, _Cluster]]:
    """Yield each character of the answer's normal form, before blanks are joined, with the cluster that it is from."""
    for cluster in _clusters(answer):
        for character in unicodedata.normalize("NFKC", cluster.text):
            yield character, cluster


def _clusters(answer: str) -> Iterator[_Cluster]:
    """Split the answer so that the normal forms of the clusters, joined, are the normal form of the whole.

    Dropped characters, which are invisible or in an excessive run of combining marks, belong to the cluster before.
    """
    start, text, marks = 0, "", 0
    for place, character in enumerate(answer):
        plain = _plain(character)
        if not plain:
            continue
        marks = marks + 1 if is_mark(plain) else 0
        if marks > MAX_MARKS:
            continue
        if text and not marks and _is_separate(text, plain):
            yield _Cluster(start, place, text)
            text = ""
        if not text:
            start = place
        text += plain
    if text:
        yield _Cluster(start, len(answer), text)


@lru_cache(maxsize=4_096)
def _plain(character: str) -> str:
    """Return a character as it is compared before normalization; "" for an invisible one."""
    return sanitize(character).translate(SIMILAR_MARKS)


def _is_separate(text: str, character: str) -> bool:
    """Return whether the text of a cluster and the next character are normalized independently of each other."""
    if character < _FIRST_NOT_ASCII:
        return True
    separate = unicodedata.normalize("NFKC", text) + unicodedata.normalize("NFKC", character)
    return unicodedata.normalize("NFKC", text + character) == separate
