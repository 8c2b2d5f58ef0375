"""Find the nearest learners by their skill scores, with scikit-learn."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np
from sklearn.metrics.pairwise import nan_euclidean_distances

from domain.recommending.recommendations import EarlierLearners

REACH: Final = 0.25
"""The root mean square difference per skill at which the nearness falls to about a third."""


class KnnNearestLearners:
    """A NearestLearners. The distance of two learners ignores skills in which one of them has no score."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        return await asyncio.to_thread(_nearest, profile, learners, k)


def _nearest(
    profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
) -> tuple[tuple[UUID, float], ...]:
    """Return at most `k` learners, nearest first, without those who have no skill in common."""
    scored = ((skill, score) for skill, score in sorted(profile.items()) if skill in learners.scores)
    known = {skill: float(score) for skill, score in scored if score is not None}
    if not known or not learners.ids:
        return ()
    theirs = np.array([learners.scores[skill] for skill in known], dtype=float).T  # None becomes "not a number"
    # The library scales the sum over common skills up to all skills, so dividing by their number gives the mean square.
    squares = nan_euclidean_distances([list(known.values())], theirs, squared=True)[0] / len(known)
    nearness = np.nan_to_num(np.exp(-squares / REACH**2)).round(6)
    kth = np.sort(nearness)[-min(k, len(nearness))]
    near = np.flatnonzero((nearness >= kth) & (nearness > 0)).tolist()
    found = [(UUID(learners.ids[place]), float(nearness[place])) for place in near]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k])
