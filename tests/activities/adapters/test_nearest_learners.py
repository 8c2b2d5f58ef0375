"""The contract of every search for nearest learners."""

import random
from decimal import Decimal

import pytest

from activities.adapters.knn import KnnNearestLearners
from domain.recommending.ports import NearestLearners
from domain.recommending.recommendations import EarlierLearners
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


async def test_ties_break_by_id_whatever_the_order(learners: NearestLearners) -> None:
    names = [f"n{i}" for i in range(8)]
    random.Random(3).shuffle(names)

    found = await learners.nearest(PROFILE, crowd(**{name: {SQL: 0.5, CLEANING: 0.5} for name in names}), 8)

    assert [each for each, _ in found] == sorted(map(an_id, names))
