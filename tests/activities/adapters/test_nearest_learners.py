"""What every search for nearest learners promises."""

import random
from decimal import Decimal

import pytest

from activities.adapters.knn import KnnNearestLearners
from domain.ports import NearestLearners
from domain.recommendations import EarlierLearner
from tests.domain.builders import CLEANING, SQL, an_id
from tests.fakes import FakeNearestLearners

PROFILE = {SQL: Decimal("0.5"), CLEANING: Decimal("0.5")}


@pytest.fixture(params=[FakeNearestLearners, KnnNearestLearners])
def learners(request: pytest.FixtureRequest) -> NearestLearners:
    made: NearestLearners = request.param()
    return made


def learner(name: str, **skills: str) -> EarlierLearner:
    names = {"sql": SQL, "cleaning": CLEANING, "other": "Other"}
    scores = {names[key]: Decimal(score) for key, score in skills.items()}
    return EarlierLearner(id=an_id(name), skills=scores)


async def test_the_most_alike_come_first(learners: NearestLearners) -> None:
    far, near = learner("far", sql="0.9", cleaning="0.1"), learner("near", sql="0.5", cleaning="0.6")

    found = await learners.nearest(PROFILE, [far, near], 5)

    assert [each for each, _ in found] == [near, far]


async def test_nearness_falls_from_one(learners: NearestLearners) -> None:
    same, other = learner("same", sql="0.5", cleaning="0.5"), learner("other", sql="0.7", cleaning="0.7")

    (_, first), (_, second) = await learners.nearest(PROFILE, [same, other], 5)

    assert first == pytest.approx(1)
    assert 0 < second < 1


async def test_at_most_k_are_found(learners: NearestLearners) -> None:
    crowd = [learner(f"n{i}", sql=f"0.{i}") for i in range(10)]

    assert len(await learners.nearest(PROFILE, crowd, 3)) == 3


async def test_skills_that_only_one_has_are_left_out(learners: NearestLearners) -> None:
    (_, nearness), *_ = await learners.nearest(PROFILE | {"Other": None}, [learner("n", sql="0.5", other="0.9")], 5)

    assert nearness == pytest.approx(1)


async def test_who_has_no_skill_in_common_is_not_near(learners: NearestLearners) -> None:
    assert await learners.nearest(PROFILE, [learner("n", other="0.5")], 5) == ()


@pytest.mark.parametrize("profile", [{}, {SQL: None}])
async def test_nobody_is_near_an_unknown_learner(learners: NearestLearners, profile: dict[str, Decimal | None]) -> None:
    assert await learners.nearest(profile, [learner("n", sql="0.5")], 5) == ()


async def test_ties_break_by_id_whatever_the_order(learners: NearestLearners) -> None:
    crowd = [learner(f"n{i}", sql="0.5", cleaning="0.5") for i in range(8)]
    random.Random(3).shuffle(crowd)

    found = await learners.nearest(PROFILE, crowd, 8)

    assert [each.id for each, _ in found] == sorted(each.id for each in crowd)
