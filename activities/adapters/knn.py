"""Nearest neighbours over skill scores, by scikit-learn."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import numpy as np
from sklearn.metrics.pairwise import nan_euclidean_distances

from domain.recommendations import EarlierLearner

REACH: Final = 0.25
"""A difference of so much a skill (root mean square) lowers the nearness to about a third."""


class KnnNearestLearners:
    """The port NearestLearners. A skill that one of the two has no score in is left out of their distance."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: Sequence[EarlierLearner], k: int
    ) -> tuple[tuple[EarlierLearner, float], ...]:
        return await asyncio.to_thread(_nearest, profile, learners, k)


def _nearest(
    profile: Mapping[str, Decimal | None], learners: Sequence[EarlierLearner], k: int
) -> tuple[tuple[EarlierLearner, float], ...]:
    """Learners without a common skill are not near."""
    known = {skill: float(score) for skill, score in sorted(profile.items()) if score is not None}
    if not known or not learners:
        return ()
    # numpy reads decimals as floats and None as "not a number".
    theirs = np.array([[learner.skills.get(skill) for skill in known] for learner in learners], dtype=float)
    # The library scales what both know up to all skills, so dividing by their number gives the mean square.
    squares = nan_euclidean_distances([list(known.values())], theirs, squared=True)[0] / len(known)
    nearness = np.nan_to_num(np.exp(-squares / REACH**2)).round(6)
    kth = np.sort(nearness)[-min(k, len(nearness))]
    near = np.flatnonzero((nearness >= kth) & (nearness > 0)).tolist()
    found = [(learners[place], float(nearness[place])) for place in near]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0].id))[:k])
