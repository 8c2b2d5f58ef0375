"""The weight of the learner's own reactions in the ranking."""

import pytest

from domain.recommending.ranking import WEIGHTS, AffinityEvidence
from tests.domain.builders import an_id
from tests.domain.recommending_builders import blend, credential, neighbour, titles


def affinities(own: int = 3, others: int = 100, **scores: float) -> AffinityEvidence:
    return AffinityEvidence(scores={an_id(name): score for name, score in scores.items()}, own=own, others=others)


def test_credentials_that_suit_the_learners_likes_come_first() -> None:
    result = blend(credential("a"), credential("b"), affinities=affinities(a=0.2, b=1))

    assert titles(result) == ["B", "A"]
    assert result.items[0].features["affinity"] == 1


def test_the_weight_of_the_affinity_grows_with_the_likes_of_the_learner_and_with_the_reactions_of_others() -> None:
    evidence = [affinities(0, 0, a=1), affinities(0, 10, a=1), affinities(0, 100, a=1), affinities(5, 100, a=1)]

    weights = [blend(credential("a"), affinities=each).weights["affinity"] for each in evidence]

    assert weights[0] == 0
    assert weights == sorted(set(weights))
    assert weights[-1] < WEIGHTS["affinity"]


def test_the_weights_add_up_to_one_with_neighbours_and_affinities() -> None:
    neighbours = tuple((neighbour(f"n{i}", a="5"), 1.0) for i in range(9))

    weights = blend(credential("a"), neighbours=neighbours, affinities=affinities(a=1)).weights

    assert sum(weights.values()) == pytest.approx(1, abs=1e-5)
