"""Split an answer where quotes start and end, so that a template can highlight quotes that overlap."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from domain.grading.quotes import LocatedQuote


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of an answer. `quoted_by` are the numbers of the criteria that quote it; `ends` those whose quote ends."""

    text: str
    quoted_by: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


def passages(answer: str, quotes: Iterable[tuple[int, LocatedQuote]]) -> tuple[Passage, ...]:
    """Return the parts of the answer, which joined are the answer. `quotes` pairs each quote with a criterion's number.

    Quotes without a place are left out.
    """
    spans = [(quote.start, quote.end, number) for number, quote in quotes if quote.start is not None and quote.end]
    cuts = sorted({0, len(answer), *(start for start, _, _ in spans), *(end for _, end, _ in spans)})
    return tuple(
        Passage(
            text=answer[start:end],
            quoted_by=tuple(sorted({number for first, last, number in spans if first <= start and end <= last})),
            ends=tuple(sorted({number for _, last, number in spans if last == end})),
        )
        for start, end in pairwise(cuts)
    )
