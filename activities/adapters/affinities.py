"""Score credentials by the reactions of learners who reacted to the same credentials, with sparse matrices."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from domain.recommending.calibration import LIKED
from domain.recommending.recommendations import Reactions

Floats: TypeAlias = NDArray[np.float64]

NEUTRAL: Final = 3
"""The rating that counts half. Lower ratings do not count, and higher ones all count the same."""
RECENCY: Final = 0.8
"""The factor on the weight of a learner's own reaction for each later one."""
USER_SHRINKAGE: Final = 1.0
"""Reduces the similarity of learners who share little: this many credentials of mean rarity count as not shared."""
ITEM_SHRINKAGE: Final = 20.0
"""Reduces the similarity of credentials with few reactions."""
STEPS: Final = 5
"""The reactions that count as following another one: at most this many later."""
FOLLOWING: Final = 0.5
"""The extra weight of two credentials that a learner liked one right after the other, divided by the distance."""
POPULARITY: Final = 0.2
"""The weight of the popularity, relative to the user-based and the item-based score with a weight of 1 each."""


class Affinities:
    """The reactions of many learners, prepared to score credentials for others.

    Three scores are added. User-based: the likes of learners who share credentials with the learner, weighted by the
    cosine of both learners' likes, in which rare credentials count more. Item-based: the cosine of credentials that the
    same learners liked, higher for the one that they liked later. Popularity: the logarithm of the number of likes.
    """

    def __init__(self, reactions: Reactions) -> None:
        self.credentials, items = _coded(reactions.credentials)
        names, rows = _coded(reactions.learners)
        liking = preference(np.asarray(reactions.ratings, dtype=float))
        self._places = {name: place for place, name in enumerate(self.credentials)}
        shape = (len(names), len(self.credentials))
        self._liked = csr_array((liking, (rows, items)), shape=shape)
        likes = np.asarray(self._liked.sum(axis=0), dtype=float)
        self._popularity = np.log1p(likes) / max(1e-9, np.log1p(likes.max(initial=0.0)))
        self._rarity = np.log1p(len(names) / np.maximum(likes, 1))
        weighted = self._liked @ diags_array(self._rarity)
        self._by_credential = csr_array(weighted.T)
        self._lengths = np.asarray(weighted.sum(axis=1), dtype=float)
        each = np.asarray(self._liked.sum(axis=1), dtype=float)
        together = self._liked.T @ (diags_array(1 / np.sqrt(np.maximum(each, 1))) @ self._liked)
        pairs = (together + _sequences(rows, items, liking, shape[1])).tocoo()
        apart = pairs.row != pairs.col
        row, col = pairs.row[apart], pairs.col[apart]
        cosines = pairs.data[apart] / (np.sqrt(likes[row] * likes[col]) + ITEM_SHRINKAGE)
        self._alike = csr_array((cosines, (row, col)), shape=together.shape)

    def scores(self, own: Sequence[Sequence[tuple[str, float]]]) -> Floats:
        """Return a row for each learner and a column for each of `credentials`, 0..1; a row's maximum is 1, if any.

        `own` has each learner's credentials with their ratings, oldest first. Their own credentials score 0.
        """
        cells = [
            (row, place, float(preference(rating)) * RECENCY**age)
            for row, each in enumerate(own)
            for age, (name, rating) in enumerate(reversed(each))
            if (place := self._places.get(name)) is not None
        ]
        rows, places, weights = (np.asarray(column) for column in zip(*cells, strict=True)) if cells else ([], [], [])
        shape = (len(own), len(self.credentials))
        mine = csr_array((np.asarray(weights, dtype=float), (rows, places)), shape=shape)
        known = csr_array((np.ones(len(cells)), (rows, places)), shape=shape).toarray() > 0
        by_user = np.where(known, 0.0, (self._similar(mine) @ self._liked).toarray())
        by_item = np.where(known, 0.0, (mine @ self._alike).toarray())
        return _scaled(np.where(known, 0.0, _scaled(by_user) + _scaled(by_item) + POPULARITY * self._popularity))

    def _similar(self, mine: csr_array) -> csr_array:
        """Return the shrunk cosines of the learners (rows) and the prepared learners (columns)."""
        shared = (mine @ self._by_credential).tocoo()
        lengths = np.sqrt(np.asarray(mine @ self._rarity)[shared.row] * self._lengths[shared.col])
        shrunk = shared.data / (lengths + USER_SHRINKAGE * (self._rarity.mean() if len(self._rarity) else 1.0))
        return csr_array((shrunk, (shared.row, shared.col)), shape=shared.shape)


def _coded(names: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Return the distinct names in their order, and the place of each name among them.

    `np.unique` would compare texts of 36 characters, which takes most of the time of a model.
    """
    distinct = sorted(set(names))
    places = {name: place for place, name in enumerate(distinct)}
    return distinct, np.fromiter((places[name] for name in names), dtype=np.intp, count=len(names))


def preference(ratings: Floats | float) -> Floats:
    """Return 1 for liked, 0.5 for neutral and 0 for disliked credentials. Equal ratings carry no order."""
    return np.where(np.asarray(ratings) >= LIKED, 1.0, np.where(np.asarray(ratings) >= NEUTRAL, 0.5, 0.0))


def _sequences(rows: NDArray[np.intp], items: NDArray[np.intp], liking: Floats, size: int) -> csr_array:
    """Return how often learners liked a credential (column) soon after another one (row)."""
    total = csr_array((size, size), dtype=float)
    for step in range(1, min(STEPS, len(rows) - 1) + 1):
        follows = (rows[:-step] == rows[step:]) & (liking[:-step] == 1) & (liking[step:] == 1)
        counts = np.full(int(follows.sum()), FOLLOWING / step)
        total = total + csr_array((counts, (items[:-step][follows], items[step:][follows])), shape=(size, size))
    return total


def _scaled(scores: Floats) -> Floats:
    """Divide each row by its maximum. A row of zeros stays."""
    highest = scores.max(axis=1, keepdims=True, initial=0.0)
    return scores / np.where(highest > 0, highest, 1.0)
