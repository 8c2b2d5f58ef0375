"""Estimating levels from similarities with the Gaussian process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.adapters.local_grader.gaussian_process import LevelProcess, Matrix, fit_levels

POINTS = np.array([[0.0, 1.0], [0.2, 1.1], [1.0, 0.1], [1.1, 0.0], [2.0, 0.4], [2.1, 0.5]])
LEVELS = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])


def fitted(points: Matrix, levels: Matrix, top: int) -> LevelProcess:
    return fit_levels(points @ points.T, levels, top)


def at(process: LevelProcess, points: Matrix, point: Matrix) -> tuple[int, float]:
    level, confidence = process.estimate(points @ point, float(point @ point))
    return level, confidence


@given(
    st.integers(1, 5).flatmap(
        lambda top: st.tuples(
            st.just(top), st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, top)), min_size=1)
        )
    ),
    st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
)
def test_an_estimate_is_a_level_of_the_scale_and_a_probability(
    seen: tuple[int, list[tuple[float, float, int]]], point: tuple[float, float]
) -> None:
    top, rows = seen
    points = np.array([row[:2] for row in rows])

    level, confidence = at(fitted(points, np.array([float(row[2]) for row in rows]), top), points, np.array(point))

    assert 0 <= level <= top
    assert 0 < confidence <= 1


@pytest.mark.parametrize("place", range(6))
def test_a_labelled_answer_gets_its_own_level(place: int) -> None:
    level, _ = at(fitted(POINTS, LEVELS, 2), POINTS, POINTS[place])

    assert level == LEVELS[place]


def test_an_answer_between_two_levels_gets_the_level_between() -> None:
    outer = [0, 1, 4, 5]

    level, _ = at(fitted(POINTS[outer], LEVELS[outer], 2), POINTS[outer], POINTS[[0, 5]].mean(axis=0))

    assert level == 1


def test_a_few_labelled_answers_that_agree_determine_the_level() -> None:
    level, _ = at(fitted(POINTS, np.full(6, 3.0), 3), POINTS, np.array([5.0, 5.0]))

    assert level == 3


def test_a_few_labelled_answers_that_differ_shift_the_mean_only_slightly() -> None:
    alike = np.ones((4, 2))

    level, _ = at(fitted(alike, np.array([0.0, 0.0, 0.0, 3.0]), 3), alike, np.ones(2))

    assert level == 1


def test_more_consistent_labels_raise_the_confidence() -> None:
    many, levels = np.repeat(POINTS, 5, axis=0), np.repeat(LEVELS, 5)

    _, before = at(fitted(POINTS, LEVELS, 2), POINTS, POINTS[2])
    _, after = at(fitted(many, levels, 2), many, POINTS[2])

    assert after > before


def test_contradicting_labels_lower_the_confidence() -> None:
    _, consistent = at(fitted(POINTS, LEVELS, 2), POINTS, POINTS[0])
    _, contradicted = at(fitted(POINTS, np.array([0.0, 2.0, 1.0, 1.0, 2.0, 0.0]), 2), POINTS, POINTS[0])

    assert contradicted < consistent


def test_similarity_that_all_answers_share_has_no_effect() -> None:
    shifted = POINTS + np.array([7.0, -3.0])

    plain = fitted(POINTS, LEVELS, 2).estimate(POINTS @ POINTS[1], float(POINTS[1] @ POINTS[1]))
    moved = fitted(shifted, LEVELS, 2).estimate(shifted @ shifted[1], float(shifted[1] @ shifted[1]))

    assert moved.level == plain.level
    assert moved.confidence == pytest.approx(plain.confidence)


def test_the_order_of_labelled_answers_does_not_matter() -> None:
    order = [3, 0, 5, 1, 4, 2]

    _, one = at(fitted(POINTS, LEVELS, 2), POINTS, np.array([0.5, 0.5]))
    _, other = at(fitted(POINTS[order], LEVELS[order], 2), POINTS[order], np.array([0.5, 0.5]))

    assert one == pytest.approx(other)
