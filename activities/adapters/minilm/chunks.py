"""Cut a text into chunks that fit the embedding model."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

CHUNK_PIECES: Final = 200
"""The most word pieces of a chunk. The model reads 256, its special tokens included, and ignores the rest."""
MOST_CHUNKS: Final = 32
LAST_CHUNKS: Final = 8
"""A text of more than 32 chunks is embedded by its first 24 and its last 8. An essay of 20,000 characters has about 25
chunks in English, but 100 in Chinese, which would take half a minute."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text and its length in word pieces, at least 1."""

    text: str
    pieces: int


def chunks(text: str, offsets_of: Callable[[str], Sequence[tuple[int, int]]]) -> list[Chunk]:
    """Return the text in chunks of whole sentences; a sentence longer than a chunk is cut between word pieces.

    `offsets_of` returns start and end of each word piece. There is at least one chunk, even for an empty text, and at
    most `MOST_CHUNKS`.
    """
    offsets = offsets_of(text)
    starts = [start for start, _ in offsets]
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    cuts = [0, *_cuts(starts, ends), len(offsets)]
    edges = [0, *(starts[cut] for cut in cuts[1:-1]), len(text)]
    parts = list(zip(pairwise(edges), pairwise(cuts), strict=True))
    if len(parts) > MOST_CHUNKS:
        parts = parts[: MOST_CHUNKS - LAST_CHUNKS] + parts[-LAST_CHUNKS:]
    return [Chunk(text[start:end].strip(), max(1, after - before)) for (start, end), (before, after) in parts]


def _cuts(starts: Sequence[int], sentence_ends: Sequence[int]) -> Iterator[int]:
    """Yield the first word piece of each chunk after the first.

    It is the last sentence start that fits into the chunk before, otherwise the first word piece that does not fit.
    """
    sentence_starts = sorted({bisect_left(starts, end) for end in sentence_ends})
    begin = 0
    while len(starts) - begin > CHUNK_PIECES:
        limit = begin + CHUNK_PIECES
        place = bisect_right(sentence_starts, limit) - 1
        begin = sentence_starts[place] if place >= 0 and sentence_starts[place] > begin else limit
        yield begin
