"""Cuts a text into chunks that the model reads whole."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

CHUNK_PIECES: Final = 200
"""Word pieces a chunk has at most; the model reads 256 with its own marks and drops the rest silently."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text and its length in word pieces, at least 1."""

    text: str
    pieces: int


def chunks(text: str, tokenizer: Any) -> list[Chunk]:  # noqa: ANN401  # transformers' tokenizers share no typed base
    """The text in chunks of whole sentences; a sentence that is too long alone is cut between word pieces.

    At least one chunk, even of an empty text.
    """
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    starts = [start for start, _ in offsets]
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    cuts = [0, *_cuts(starts, ends), len(offsets)]
    edges = [0, *(starts[cut] for cut in cuts[1:-1]), len(text)]
    return [
        Chunk(text[start:end].strip(), max(1, after - before))
        for (start, end), (before, after) in zip(pairwise(edges), pairwise(cuts), strict=True)
    ]


def _cuts(starts: Sequence[int], sentence_ends: Sequence[int]) -> Iterator[int]:
    """The pieces that open a further chunk: the last sentence start that fits, else the first piece that does not."""
    sentence_starts = {bisect_left(starts, end) for end in sentence_ends}
    begin = 0
    while len(starts) - begin > CHUNK_PIECES:
        limit = begin + CHUNK_PIECES
        begin = max((cut for cut in sentence_starts if begin < cut <= limit), default=limit)
        yield begin
