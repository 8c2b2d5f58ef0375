"""Embed a text of several lines as the mean of its lines' vectors.

A name alone is closer to another name of the same thing than a name inside a long description. Measured on ESCO, the
mean of both finds more than the vector of the whole text (docs/recommending.md).
"""

import math
from collections.abc import Sequence

from domain.recommending.ports import Embedder, Vector


async def embed_lines(embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
    """Return one unit vector per text; a text of one line has the embedder's own vector."""
    lines = [[line for line in text.splitlines() if line.strip()] or [text] for text in texts]
    vectors = iter(await embedder.embed([line for each in lines for line in each]))
    return [_mean([next(vectors) for _ in each]) for each in lines]


def _mean(vectors: Sequence[Vector]) -> Vector:
    sums = [math.fsum(values) for values in zip(*vectors, strict=True)]
    length = math.hypot(*sums)
    # Opposite vectors cancel out; then the first line, which is the name, represents the text.
    return [value / length for value in sums] if length and len(vectors) > 1 else vectors[0]
