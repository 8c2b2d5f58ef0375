"""What all stores rank by, and what none of them searches for."""

from collections.abc import Sequence
from typing import Final

from domain.errors import InvalidInput
from domain.recommending.ports import SearchQuery
from domain.recommending.vectors import check_vector

WORD_SHARE: Final = 0.2
"""The words' part of the fused score; the rest is the cosine's. Each is spread to 0..1 over what was found."""
POOL: Final = 4
LEAST_POOL: Final = 40
"""Words and vectors each find so many times the limit, but at least so many, before they are fused."""


def pool_of(limit: int) -> int:
    return max(LEAST_POOL, POOL * limit)


def check_search(queries: Sequence[SearchQuery], limit: int) -> None:
    """Raises InvalidInput for a limit below 1 and for a vector that is none."""
    if limit < 1:
        raise InvalidInput("A search returns at least one hit")
    for query in queries:
        check_vector(query.vector)
