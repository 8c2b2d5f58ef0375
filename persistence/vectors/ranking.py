"""The ranking parameters and the input check that all vector stores share."""

from collections.abc import Sequence
from typing import Final

from domain.errors import InvalidInput
from domain.recommending.ports import SearchQuery
from domain.recommending.vectors import check_vector

WORD_SHARE: Final = 0.2
"""The weight of the text rank in the fused score; the rest is the cosine's. Both are scaled to 0..1 over the hits."""
POOL: Final = 4
LEAST_POOL: Final = 40
"""Text search and vector search each return POOL times the limit, at least LEAST_POOL hits, before they are fused."""


def pool_of(limit: int) -> int:
    return max(LEAST_POOL, POOL * limit)


def check_search(queries: Sequence[SearchQuery], limit: int) -> None:
    """Raise InvalidInput when the limit is below 1 or a vector is not valid."""
    if limit < 1:
        raise InvalidInput("The limit of a search must be at least 1")
    for query in queries:
        check_vector(query.vector)
