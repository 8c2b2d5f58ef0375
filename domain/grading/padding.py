"""Find passages of an essay that do not deal with its question, such as a text about something else at its end."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby
from math import sqrt
from statistics import median, pvariance
from typing import Final

from domain.unicode_text import nfkc

UNRELATED_PASSAGE: Final = "unrelated_passage"
"""The flag of a text with a passage that may not answer the question."""
PASSAGE: Final = 100
"""The number of words of the passages that are compared. With 130 words fewer paddings of 120 words are found, and
with 80 words no more of them."""
USED_BY: Final = 2
"""A word is usual for a question if this number of other labelled answers contain it."""
DEVIATIONS: Final = 2.6
USUAL_DEVIATION: Final = 0.067
USUAL_DEVIATION_WEIGHT: Final = 8
"""A passage is unrelated if its share of usual words is this number of standard deviations below the median of the
labelled answers' lowest shares. The prior for the deviation has the weight of 8 answers. `docs/grading.md` has the
shares of honest and of padded essays that are flagged."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True, slots=True)
class _Usage:
    """How the labelled answers use words.

    `answers` is the number of answers with each word, and `length` the median length of an answer in words. `lowest` is
    the median of the answers' lowest shares of usual words, and `limit` the share below which a passage is unrelated.
    """

    answers: Counter[str]
    length: float
    lowest: float
    limit: float


def without_padding(text: str, labelled: Sequence[str]) -> str:
    """Return the text without the parts that may not answer the question. Most texts are returned as they are.

    Such a part contains a passage of 100 words of which few are in the labelled answers. Texts that are shorter than
    the usual labelled answer are returned as they are, because padding makes a text long.
    """
    if not labelled:
        return text
    usage = _usage(tuple(labelled))
    found = list(_WORD.finditer(text))
    if len(found) < usage.length:
        return text
    usual = [usage.answers[_key(word[0])] >= USED_BY for word in found]
    starts = [*(word.start() for word in found), len(text)]
    kept, end = [], 0
    for part in _parts(usual, usage):
        unrelated = _densest(usual, part, usage.lowest)
        kept.append(text[end : starts[unrelated.start]])
        end = starts[unrelated.stop]
    return "".join([*kept, text[end:]])


def _parts(usual: Sequence[bool], usage: _Usage) -> Iterator[range]:
    """Yield ranges of words whose passages all have a low share of usual words, and one of them an unrelated share."""
    shares, end = _shares(usual), 0
    for low, group in groupby(range(len(shares)), lambda start: shares[start] < usage.lowest):
        starts = list(group)
        if low and min(shares[start] for start in starts) < usage.limit:
            part = range(max(end, starts[0]), min(starts[-1] + PASSAGE, len(usual)))
            yield part
            end = part.stop


def _densest(usual: Sequence[bool], part: range, share: float) -> range:
    """Return the words within `part` that lack most usual words, compared with `share` (Kadane's algorithm)."""
    best = range(part.start, part.start)
    start, lack, most = part.start, 0.0, 0.0
    for place in part:
        lack += share - usual[place]
        if lack <= 0:
            start, lack = place + 1, 0.0
        elif lack > most:
            best, most = range(start, place + 1), lack
    return best


@lru_cache(maxsize=32)  # every essay needs the usage of the same labelled answers
def _usage(labelled: tuple[str, ...]) -> _Usage:
    words = [[_key(word) for word in _WORD.findall(text)] for text in labelled]
    answers = Counter(word for each in words for word in set(each))
    shares = [min(_shares([answers[word] > USED_BY for word in each])) for each in words]
    prior = USUAL_DEVIATION_WEIGHT * USUAL_DEVIATION**2
    deviation = sqrt((len(words) * pvariance(shares) + prior) / (len(words) + USUAL_DEVIATION_WEIGHT))
    lowest = median(shares)
    return _Usage(answers, median(map(len, words)), lowest, lowest - DEVIATIONS * deviation)


def _shares(usual: Sequence[bool]) -> list[float]:
    """Return the share of usual words in each passage of 100 words, or in the whole text if it is shorter."""
    length = min(PASSAGE, len(usual))
    sums = [0, *accumulate(usual)]
    return [(end - start) / max(1, length) for start, end in zip(sums, sums[length:], strict=False)]


def _key(word: str) -> str:
    return nfkc(word).casefold()
