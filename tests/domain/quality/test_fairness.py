"""Differential item functioning, compared with R, and on simulated tests with and without a planted bias."""

import random
from collections import Counter
from math import exp
from typing import Any, Final
from uuid import UUID

import pytest

from domain.quality.fairness import MIN_GROUP, Fairness, fairness, standardised_mean_difference
from domain.quality.logistic import Count, Person, logistic_dif
from domain.quality.mantel_haenszel import DifClass, Stratum, dif_class, mantel_haenszel
from domain.quality.scored_assessments import ItemVersion, ScoredAssessment, ScoredItem
from tests.domain.quality.reference import PRECISION, REFERENCE

ITEMS: Final = 12
BIASED: Final = 4


@pytest.mark.parametrize("case", REFERENCE["mantel_haenszel"])
def test_mantel_haenszel_equals_r(case: dict[str, Any]) -> None:
    found = mantel_haenszel([Stratum(*cells) for cells in case["strata"]])

    assert found is not None
    assert found.odds_ratio == pytest.approx(case["odds_ratio"], abs=PRECISION)
    assert found.chi_square == pytest.approx(case["chi_square"], abs=PRECISION)
    assert found.p_value == pytest.approx(case["p_value"], abs=PRECISION)
    assert found.standard_error == pytest.approx(2.35 * case["log_standard_error"], abs=PRECISION)


@pytest.mark.parametrize("case", REFERENCE["logistic"])
def test_logistic_dif_equals_glm(case: dict[str, Any]) -> None:
    answers = Counter((int(total), bool(group), bool(right)) for total, group, right in case["rows"])
    people = {Person(total, focal) for total, focal, _ in answers}
    counts = {each: Count(answers[(*each, True)], answers[(*each, False)]) for each in people}

    found = logistic_dif(counts)

    assert found is not None
    names = ("log_odds", "uniform_chi_square", "uniform_p_value", "non_uniform_chi_square", "non_uniform_p_value")
    assert {name: getattr(found, name) for name in names} == pytest.approx(
        {name: case[name] for name in names}, abs=PRECISION
    )


def test_the_standardised_mean_difference_equals_r() -> None:
    case = REFERENCE["mean_difference"]

    found = standardised_mean_difference(case["reference"], case["focal"])

    assert found == pytest.approx(case["difference"], abs=PRECISION)


@pytest.mark.parametrize(
    ("d_dif", "error", "p_value", "expected"),
    [
        (0.99, 0.1, 0.001, DifClass.A),
        (-2.0, 0.9, 0.06, DifClass.A),
        (-1.2, 0.2, 0.01, DifClass.B),
        (1.6, 0.5, 0.01, DifClass.B),
        (-1.6, 0.3, 0.001, DifClass.C),
    ],
)
def test_the_classes_of_ets(d_dif: float, error: float, p_value: float, expected: DifClass) -> None:
    assert dif_class(d_dif, error, p_value) is expected


def test_there_is_no_estimate_if_a_group_is_always_right() -> None:
    strata = [Stratum(5, 5, 10, 0), Stratum(7, 3, 8, 0)]
    people = {Person(total, focal): Count(5, 0 if focal else 5) for total in (1, 2, 3) for focal in (True, False)}

    assert (mantel_haenszel(strata), logistic_dif(people)) == (None, None)


def test_the_effect_of_the_group_has_an_estimate_without_one_that_depends_on_the_total() -> None:
    mixed = {Person(total, focal=False): Count(4, 4) for total in (1, 2)}
    separated = {Person(1, focal=True): Count(0, 8), Person(2, focal=True): Count(8, 0)}

    found = logistic_dif(mixed | separated)

    assert found is not None
    assert found.uniform_p_value == pytest.approx(1)
    assert found.non_uniform_p_value is None


def simulated(seed: int, *, bias: float, impact: float = 0.5, number: int = 300) -> Fairness:
    """Simulate a Rasch test of two groups. One item is harder for `b`, whose ability is lower by `impact`."""
    dice = random.Random(seed)
    assessments = []
    for group in ("a", "b"):
        for _ in range(number + (group == "a")):
            ability = dice.gauss(0, 1) - impact * (group == "b")
            points = []
            for item in range(ITEMS):
                difficulty = -1.5 + 3 * item / (ITEMS - 1) + bias * (group == "b" and item == BIASED)
                points.append(float(dice.random() < 1 / (1 + exp(difficulty - ability))))
            assessments.append(taken(points, gender=group))
    return fairness(assessments)


def taken(points: list[float], version: str = "v1", **groups: str) -> ScoredAssessment:
    items = tuple(ScoredItem(ItemVersion(UUID(int=place), version), each, 1) for place, each in enumerate(points))
    return ScoredAssessment(items=items, groups=groups)


def test_a_planted_bias_is_found() -> None:
    (attribute,) = simulated(1, bias=1.3).attributes

    reference, focal = attribute.groups
    assert (reference.group, focal.group, reference.items) == ("a", "b", ())
    planted = focal.items[BIASED]
    assert planted.mantel_haenszel
    assert planted.mantel_haenszel.dif_class is DifClass.C
    assert planted.mantel_haenszel.d_dif < 0
    assert planted.logistic
    assert planted.logistic.log_odds < 0
    assert planted.logistic.uniform_p_value < 0.001
    others = [each.mantel_haenszel for each in focal.items if each is not planted]
    assert DifClass.C not in {each and each.dif_class for each in others}


def test_a_difference_in_ability_is_no_bias() -> None:
    focal = [simulated(seed, bias=0).attributes[0].groups[1] for seed in range(10)]

    found = [item for each in focal for item in each.items]
    classes = Counter(item.mantel_haenszel and item.mantel_haenszel.dif_class for item in found)
    assert classes[DifClass.C] == 0
    assert classes[DifClass.B] <= 0.05 * len(found)
    assert sum(item.logistic is not None and item.logistic.uniform_p_value < 0.01 for item in found) <= 0.05 * len(
        found
    )
    assert all(each.mean_difference is not None and each.mean_difference < -0.2 for each in focal)


def a_group(size: int, group: str) -> list[ScoredAssessment]:
    return [taken([place % 2, place % 3 == 0, 1], group=group) for place in range(size)]


def test_a_group_below_the_minimum_is_named_without_figures() -> None:
    found = fairness(a_group(MIN_GROUP + 1, "x") + a_group(MIN_GROUP, "y") + a_group(MIN_GROUP - 1, "z"))

    (attribute,) = found.attributes
    assert ([each.group for each in attribute.groups], attribute.too_small) == (["x", "y"], ("z",))


def test_students_without_the_attribute_are_in_no_group() -> None:
    found = fairness([*a_group(MIN_GROUP, "x"), *(taken([1, 1, 0]) for _ in range(50))])

    assert [(each.group, each.n) for each in found.attributes[0].groups] == [("x", MIN_GROUP)]


def test_only_the_most_frequent_set_of_versions_is_compared() -> None:
    old = [taken([1, 0, 1], "old", group="x") for _ in range(MIN_GROUP - 1)]
    ungraded = ScoredAssessment(items=(ScoredItem(ItemVersion(UUID(int=0), "v1"), None, 1),), groups={"group": "x"})

    found = fairness([*old, ungraded, *a_group(MIN_GROUP, "x")])

    assert (found.assessments, found.left_out) == (MIN_GROUP, MIN_GROUP)
    assert found.attributes[0].groups[0].n == MIN_GROUP


def test_without_groups_there_is_nothing_to_compare() -> None:
    assert fairness([taken([1, 0])]).attributes == ()
    assert fairness([]) == Fairness(assessments=0, left_out=0, attributes=())
