"""The check of vectors. All vectors have the 384 dimensions of MiniLM."""

import math
from collections.abc import Sequence
from typing import Final

from domain.errors import InvalidInput

DIMENSIONS: Final = 384


def check_vector(vector: Sequence[float]) -> None:
    """Raise InvalidInput unless the vector has 384 finite numbers, not all zero."""
    if len(vector) != DIMENSIONS:
        raise InvalidInput(f"A vector must have {DIMENSIONS} dimensions, not {len(vector)}")
    if not all(map(math.isfinite, vector)):
        raise InvalidInput("A vector must contain finite numbers only")
    if not any(vector):
        raise InvalidInput("A vector must not be all zeros")
