"""The baselines UserKNN and ItemKNN."""

from domain.recommending.recommendations import Reactions
from tests.evaluation.plain_neighbours import PlainNeighbours


def test_credentials_of_learners_with_the_same_likes_score_and_disliked_ones_do_not() -> None:
    known = PlainNeighbours(Reactions(learners=["u", "u", "u", "v"], credentials=[*"axd", "y"], ratings=[5, 4, 2, 5]))

    by_user, by_item = known.scores([[("a", 5)]])

    for scores in (by_user, by_item):
        found = dict(zip(known.credentials, scores[0].tolist(), strict=True))
        assert found["x"] > found["y"] == 0
        assert "d" not in found


def test_a_learner_without_likes_gets_no_scores() -> None:
    known = PlainNeighbours(Reactions(learners=["u"], credentials=["a"], ratings=[5]))

    assert [each.sum() for each in known.scores([[]])] == [0, 0]
