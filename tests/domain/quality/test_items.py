"""Item analysis, compared with R's psych."""

from typing import Any
from uuid import UUID

import pytest

from domain.quality.items import item_statistics
from domain.quality.scored_assessments import ItemVersion, ScoredAssessment, ScoredItem
from tests.domain.quality.reference import PRECISION, REFERENCE


def version(number: int, name: str = "v1") -> ItemVersion:
    return ItemVersion(UUID(int=number), name)


def scored(*points: float | None, maxima: tuple[float, ...] | None = None, **item: Any) -> ScoredAssessment:
    maxima = maxima or (1.0,) * len(points)
    return ScoredAssessment(
        items=tuple(
            ScoredItem(version(place), each, most, **item)
            for place, (each, most) in enumerate(zip(points, maxima, strict=True))
        )
    )


def test_difficulty_and_correlation_equal_psych() -> None:
    case = REFERENCE["items"]
    found = item_statistics([scored(*row, maxima=tuple(case["maxima"])) for row in case["points"]])

    figures = [found[version(place)] for place in range(len(case["maxima"]))]
    assert [each.mean for each in figures] == pytest.approx(case["mean"], abs=PRECISION)
    assert [each.correlation for each in figures] == pytest.approx(case["correlation"], abs=PRECISION)
    difficulties = [mean / most for mean, most in zip(case["mean"], case["maxima"], strict=True)]
    assert [each.difficulty for each in figures] == pytest.approx(difficulties, abs=PRECISION)


def test_versions_of_a_question_are_separate_items() -> None:
    old = ScoredAssessment(items=(ScoredItem(version(1, "old"), 0, 1),))
    new = ScoredAssessment(items=(ScoredItem(version(1, "new"), 1, 1),))

    found = item_statistics([old, new, new])

    assert {item.version: (each.n, each.difficulty) for item, each in found.items()} == {"old": (1, 0), "new": (2, 1)}


def test_an_item_that_waits_for_a_grade_has_no_points_in_the_mean() -> None:
    found = item_statistics([scored(1, 1), scored(0, None)])

    assert (found[version(1)].n, found[version(1)].ungraded, found[version(1)].mean) == (1, 1, 1)


def test_an_assessment_with_an_ungraded_item_is_not_in_the_correlation() -> None:
    complete = [scored(0, 0, 0), scored(1, 1, 0), scored(1, 1, 1), scored(0, 1, 1)]

    found = item_statistics([*complete, scored(1, 0, None)])

    assert found[version(0)].correlation == item_statistics(complete)[version(0)].correlation


@pytest.mark.parametrize("points", [[(1, 0), (1, 1)], [(0, 1), (1, 1)]])
def test_without_variation_there_is_no_correlation(points: list[tuple[float, float]]) -> None:
    found = item_statistics([scored(*row) for row in points])

    assert found[version(0)].correlation is None


def test_profile_questions_have_choices_and_no_difficulty() -> None:
    found = item_statistics([scored(0, 1, maxima=(0, 1), chosen=("often",)), scored(0, 0, maxima=(0, 1))])

    profile = found[version(0)]
    assert (profile.n, profile.mean, profile.difficulty, profile.correlation) == (2, None, None, None)
    assert profile.choices == {"often": 1}


def test_unanswered_is_a_share_of_the_assessments() -> None:
    found = item_statistics([scored(0, answered=False), scored(1), scored(1), scored(0)])

    assert (found[version(0)].unanswered, found[version(0)].difficulty) == (0.25, 0.5)
