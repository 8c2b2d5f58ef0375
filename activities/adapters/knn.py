"""Find the nearest learners by their skill scores, and credentials that learners with the same reactions liked."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import UUID

import numpy as np

from activities.adapters.affinities import Affinities, Floats
from domain.recommending.recommendations import EarlierLearners, Reactions

Columns: TypeAlias = Mapping[str, Floats]
"""The scores of earlier learners by skill. An unknown score is not a number."""

REACH: Final = 0.25
"""The root mean square difference per skill at which the nearness falls to about a third."""


class KnnNearestLearners:
    """A NearestLearners. The distance of two learners ignores skills in which one of them has no score.

    The matrices of the latest other learners are kept, because most learners of a role have the same others. They are
    recognized by identity, which is cheap.
    """

    def __init__(self) -> None:
        self._columns: tuple[EarlierLearners, Columns] = EarlierLearners(), {}
        no_reactions = Reactions()
        self._model = no_reactions, Affinities(no_reactions)

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        return await asyncio.to_thread(self._nearest, profile, learners, k)

    async def affinities(self, own: Sequence[tuple[str, float]], others: Reactions) -> Mapping[UUID, float]:
        return await asyncio.to_thread(self._affinities, own, others) if others.learners else {}

    def _nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        prepared, columns = self._columns
        if prepared is not learners:
            columns = {skill: np.array(scores, dtype=float) for skill, scores in learners.scores.items()}
            self._columns = learners, columns
        return _nearest(profile, learners.ids, columns, k)

    def _affinities(self, own: Sequence[tuple[str, float]], others: Reactions) -> Mapping[UUID, float]:
        prepared, model = self._model
        if prepared is not others:
            model = Affinities(others)
            self._model = others, model
        [scores] = model.scores([own]).tolist()
        return {UUID(name): round(score, 6) for name, score in zip(model.credentials, scores, strict=True) if score > 0}


def _nearest(
    profile: Mapping[str, Decimal | None], ids: Sequence[str], columns: Columns, k: int
) -> tuple[tuple[UUID, float], ...]:
    """Return at most `k` learners, nearest first, without those who have no skill in common.

    The nearness is a function of the mean square difference over the common skills, times the share of the profile's
    skills that are common. Skills that few learners have weigh more. Of equally near learners, the first ones count.
    """
    scored = ((skill, score) for skill, score in sorted(profile.items()) if skill in columns)
    known = {skill: float(score) for skill, score in scored if score is not None}
    if not known or not ids:
        return ()
    theirs = np.array([columns[skill] for skill in known]).T
    common = ~np.isnan(theirs)
    learners_of = common.sum(axis=0)
    rarity = np.where(learners_of > 0, np.log1p(len(theirs) / np.maximum(learners_of, 1)), 0.0)
    shared = common @ rarity
    squares = np.where(common, theirs - [*known.values()], 0.0) ** 2 @ rarity / np.where(shared > 0, shared, 1.0)
    nearness = (np.exp(-squares / REACH**2) * shared / max(rarity.sum(), 1e-9)).round(6)
    first = np.argsort(-nearness, kind="stable")[:k]
    return tuple((UUID(ids[place]), float(nearness[place])) for place in first.tolist() if nearness[place] > 0)
