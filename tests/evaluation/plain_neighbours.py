"""Plain UserKNN and ItemKNN, the baselines of recommending: cosines of binary likes, 50 user neighbours."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from domain.recommending.calibration import LIKED
from domain.recommending.recommendations import Reactions

NEIGHBOURS: Final = 50


class PlainNeighbours:
    """The likes of all learners, as rows of length 1 and as columns of length 1."""

    def __init__(self, reactions: Reactions) -> None:
        told = zip(reactions.learners, reactions.credentials, reactions.ratings, strict=True)
        liked = [(learner, each) for learner, each, rating in told if rating >= LIKED]
        self.credentials = sorted({each for _, each in liked})
        self._places = {each: place for place, each in enumerate(self.credentials)}
        rows = {learner: row for row, learner in enumerate(dict.fromkeys(learner for learner, _ in liked))}
        cells = ([rows[learner] for learner, _ in liked], [self._places[each] for _, each in liked])
        self._likes = csr_array((np.ones(len(liked)), cells), shape=(len(rows), len(self.credentials)))
        columns = diags_array(1 / np.sqrt(np.maximum(self._likes.sum(axis=0), 1))) if self.credentials else self._likes
        alike = csr_array(columns @ self._likes.T @ self._likes @ columns) if self.credentials else self._likes
        alike.setdiag(0)
        self._alike = alike
        self._rows = diags_array(1 / np.sqrt(np.maximum(self._likes.sum(axis=1), 1))) @ self._likes if rows else alike

    def scores(self, own: Sequence[Sequence[tuple[str, float]]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores of UserKNN and of ItemKNN: a row per learner and a column per credential."""
        cells = [
            (row, place)
            for row, each in enumerate(own)
            for name, rating in each
            if rating >= LIKED and (place := self._places.get(name)) is not None
        ]
        rows, places = zip(*cells, strict=True) if cells else ((), ())
        mine = csr_array((np.ones(len(cells)), (rows, places)), shape=(len(own), len(self.credentials)))
        # The cosine except for the learner's own length, which does not change the order.
        near = csr_array(mine @ self._rows.T)
        for row in range(len(own)):
            of_row = near.data[near.indptr[row] : near.indptr[row + 1]]
            if len(of_row) > NEIGHBOURS:
                of_row[np.argsort(-of_row, kind="stable")[NEIGHBOURS:]] = 0
        return (near @ self._likes).toarray(), (mine @ self._alike).toarray()
