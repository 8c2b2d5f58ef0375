"""What every vector of this system is: 384 finite numbers, as MiniLM makes them."""

import math
from collections.abc import Sequence
from typing import Final

from domain.errors import InvalidInput

DIMENSIONS: Final = 384


def check_vector(vector: Sequence[float]) -> None:
    """Raises InvalidInput unless the vector has 384 finite numbers, not all of them zero."""
    if len(vector) != DIMENSIONS:
        raise InvalidInput(f"A vector has {DIMENSIONS} dimensions, not {len(vector)}")
    if not all(map(math.isfinite, vector)):
        raise InvalidInput("A vector holds finite numbers only")
    if not any(vector):
        raise InvalidInput("A vector of zeros points nowhere")
