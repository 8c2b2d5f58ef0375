"""Remove wording that students must not see from a model's text, such as the wording of labelled answers."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

RUN_WORDS: Final = 8
"""The length of a run. Two texts rarely share this many words in a row by chance."""
GAP: Final = "…"

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word, or a character of a script without spaces between words."""

Runs: TypeAlias = frozenset[tuple[str, ...]]


class _Word(NamedTuple):
    normalized: str
    start: int
    end: int


def words_of(text: str) -> list[str]:
    """Return the words of the text, in NFKC and lower case."""
    return [word.normalized for word in _words(text)]


def runs_of(*texts: str) -> Runs:
    """Return every run of `RUN_WORDS` words in the texts, in NFKC and lower case."""
    return frozenset(run for text in texts for run in _runs(words_of(text)))


@lru_cache(maxsize=32)
def cached_runs_of(*texts: str) -> Runs:
    """Return `runs_of` the texts from a cache, for texts that are the same for every essay of a question."""
    return runs_of(*texts)


def without_runs(text: str, hidden: Runs) -> str:
    """Replace each passage of hidden runs in the text by "…". Return "" if no word is left."""
    words = list(_words(text))
    kept: list[str] = []
    position = 0
    for first, last in _passages([word.normalized for word in words], hidden):
        kept += [text[position : words[first].start], GAP]
        position = words[last].end
    result = "".join([*kept, text[position:]])
    return result if _WORD.search(result) else ""


def _passages(words: Sequence[str], hidden: Runs) -> Iterator[tuple[int, int]]:
    """Yield the positions of the first and last word of each longest passage of hidden runs."""
    first = last = -1
    for start, run in enumerate(_runs(words)):
        if run not in hidden:
            continue
        if first >= 0 and start > last + 1:
            yield first, last
            first = -1
        first, last = (start if first < 0 else first), start + RUN_WORDS - 1
    if first >= 0:
        yield first, last


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1))


def _words(text: str) -> Iterator[_Word]:
    for found in _WORD.finditer(text):
        yield _Word(unicodedata.normalize("NFKC", found[0]).casefold(), found.start(), found.end())
