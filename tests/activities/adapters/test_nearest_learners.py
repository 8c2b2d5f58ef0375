"""The contract of every search for nearest learners."""

import random
from decimal import Decimal
from uuid import UUID

import pytest

from activities.adapters.knn import KnnNearestLearners
from domain.recommending.ports import NearestLearners
from domain.recommending.recommendations import EarlierLearners, Reactions
from tests.domain.builders import CLEANING, SQL, an_id
from tests.support.fake_search import FakeNearestLearners

PROFILE = {SQL: Decimal("0.5"), CLEANING: Decimal("0.5")}


@pytest.fixture(params=[FakeNearestLearners, KnnNearestLearners])
def learners(request: pytest.FixtureRequest) -> NearestLearners:
    made: NearestLearners = request.param()
    return made


def crowd(**scores: dict[str, float]) -> EarlierLearners:
    """The scores of learners by their name."""
    return EarlierLearners(
        ids=[str(an_id(name)) for name in scores],
        scores={skill: [each.get(skill) for each in scores.values()] for skill in (SQL, CLEANING, "Other")},
    )


async def test_the_most_alike_come_first(learners: NearestLearners) -> None:
    both = crowd(far={SQL: 0.9, CLEANING: 0.1}, near={SQL: 0.5, CLEANING: 0.6})

    found = await learners.nearest(PROFILE, both, 5)

    assert [each for each, _ in found] == [an_id("near"), an_id("far")]


async def test_nearness_falls_from_one(learners: NearestLearners) -> None:
    both = crowd(same={SQL: 0.5, CLEANING: 0.5}, other={SQL: 0.7, CLEANING: 0.7})

    (_, first), (_, second) = await learners.nearest(PROFILE, both, 5)

    assert first == pytest.approx(1)
    assert 0 < second < 1


async def test_at_most_k_are_found(learners: NearestLearners) -> None:
    ten = crowd(**{f"n{i}": {SQL: i / 10} for i in range(10)})

    assert len(await learners.nearest(PROFILE, ten, 3)) == 3


async def test_skills_that_only_one_has_are_left_out(learners: NearestLearners) -> None:
    one = crowd(n={SQL: 0.5, "Other": 0.9})

    [(_, nearness)] = await learners.nearest(PROFILE | {"Other": None, "Asked of nobody": Decimal(1)}, one, 5)

    assert nearness == pytest.approx(1)


async def test_a_learner_without_a_common_skill_is_not_near(learners: NearestLearners) -> None:
    assert await learners.nearest(PROFILE, crowd(n={"Other": 0.5}), 5) == ()


@pytest.mark.parametrize("profile", [{}, {SQL: None}])
async def test_a_learner_without_scores_has_no_near_learners(
    learners: NearestLearners, profile: dict[str, Decimal | None]
) -> None:
    assert await learners.nearest(profile, crowd(n={SQL: 0.5}), 5) == ()


async def test_equally_near_learners_keep_their_order_which_is_newest_first(learners: NearestLearners) -> None:
    names = [f"n{i}" for i in range(8)]
    random.Random(3).shuffle(names)

    found = await learners.nearest(PROFILE, crowd(**{name: {SQL: 0.5, CLEANING: 0.5} for name in names}), 5)

    assert [each for each, _ in found] == [an_id(name) for name in names[:5]]


async def test_a_learner_with_more_of_the_skills_is_nearer() -> None:
    both = crowd(one={SQL: 0.5}, two={SQL: 0.5, CLEANING: 0.5})

    found = await KnnNearestLearners().nearest(PROFILE, both, 5)

    assert [each for each, _ in found] == [an_id("two"), an_id("one")]


async def test_a_common_rare_skill_brings_learners_nearer_than_a_common_frequent_one() -> None:
    many = crowd(**{f"n{i}": {SQL: 0.5} for i in range(6)}, rare={CLEANING: 0.5})

    found = await KnnNearestLearners().nearest(PROFILE, many, 7)

    assert found[0][0] == an_id("rare")


def reactions(**liked: str) -> Reactions:
    """Ratings of 5 of the learners; each letter is a credential, oldest first."""
    rows = [(name, str(an_id(each))) for name, credentials in liked.items() for each in credentials]
    learners, credentials = zip(*rows, strict=True)
    return Reactions(learners=learners, credentials=credentials, ratings=[5.0] * len(rows))


def own(liked: str, rating: float = 5) -> list[tuple[str, float]]:
    return [(str(an_id(each)), rating) for each in liked]


async def best(liked: str, others: Reactions) -> list[UUID]:
    found = await KnnNearestLearners().affinities(own(liked), others)
    return sorted(found, key=lambda each: -found[each])


async def test_without_own_likes_the_most_popular_credential_suits_best(learners: NearestLearners) -> None:
    found = await learners.affinities(own(""), reactions(u="ab", v="b", w="bc"))

    assert found[an_id("b")] == max(found.values()) == 1
    assert 0 < found[an_id("a")] == found[an_id("c")] < 1


async def test_without_reactions_of_others_there_are_no_affinities() -> None:
    assert await KnnNearestLearners().affinities(own("a"), Reactions()) == {}


async def test_credentials_liked_by_learners_with_the_same_likes_suit_best() -> None:
    others = reactions(u="abx", v="aby", w="abx", **{f"n{i}": "z" for i in range(9)})

    assert (await best("ab", others))[:2] == [an_id("x"), an_id("y")]


async def test_a_learner_who_shares_much_counts_more_than_one_who_shares_one_credential() -> None:
    assert (await best("abcd", reactions(u="ay", v="abcdx")))[0] == an_id("x")


async def test_a_shared_rare_credential_counts_more_than_a_frequent_one() -> None:
    others = reactions(u="ay", v="bx", **{f"n{i}": "a" for i in range(20)})

    assert (await best("ab", others))[0] == an_id("x")


async def test_what_others_liked_next_suits_better_than_what_they_liked_before() -> None:
    assert (await best("b", reactions(u="abc", v="abc")))[0] == an_id("c")


async def test_disliked_credentials_of_the_learner_find_no_others() -> None:
    others = reactions(u="ax", v="ax", w="by")
    disliked = await KnnNearestLearners().affinities(own("a", rating=1), others)

    assert disliked[an_id("x")] == 1
    assert disliked == {name: value for name, value in disliked.items() if name != an_id("a")}
    assert disliked[an_id("b")] == disliked[an_id("y")] > 0.5  # only the popularity counts


async def test_own_credentials_have_no_affinity() -> None:
    assert an_id("a") not in await KnnNearestLearners().affinities(own("a"), reactions(u="ax", v="ax"))


async def test_the_order_of_the_learners_does_not_change_the_affinities() -> None:
    one, other = reactions(u="ab", v="bc", w="ac"), reactions(w="ac", u="ab", v="bc")

    assert await KnnNearestLearners().affinities(own("a"), one) == await KnnNearestLearners().affinities(
        own("a"), other
    )


async def test_other_learners_replace_those_of_an_earlier_call(learners: NearestLearners) -> None:
    for liked in ("one", "other"):
        others = Reactions(learners=["learner"], credentials=[str(an_id(liked))], ratings=[5])
        assert list(await learners.affinities([], others)) == [an_id(liked)]
    for name in ("first", "second"):
        [(found, _)] = await learners.nearest(PROFILE, crowd(**{name: {SQL: 0.5}}), 5)
        assert found == an_id(name)
