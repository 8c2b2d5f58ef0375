"""The vector of a text of several lines: the mean of its lines' vectors.

A name alone is nearer to the name of the same thing than a name buried in its description: measured on ESCO, a mean
of both finds more than the vector of the text as a whole (docs/recommending.md).
"""

import math
from collections.abc import Sequence

from domain.recommending.ports import Embedder, Vector


async def embed_lines(embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
    """One vector of length one a text; that of a text of one line is the embedder's own."""
    lines = [[line for line in text.splitlines() if line.strip()] or [text] for text in texts]
    vectors = iter(await embedder.embed([line for each in lines for line in each]))
    return [_mean([next(vectors) for _ in each]) for each in lines]


def _mean(vectors: Sequence[Vector]) -> Vector:
    sums = [math.fsum(values) for values in zip(*vectors, strict=True)]
    length = math.hypot(*sums)
    # Lines that say the opposite of each other cancel out: the first one names the thing.
    return [value / length for value in sums] if length and len(vectors) > 1 else vectors[0]
