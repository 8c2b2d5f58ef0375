"""Estimating levels from similarities with the Gaussian process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.adapters.local_grader.gaussian_process import (
    Blocks,
    Labels,
    LevelProcess,
    Matrix,
    Priors,
    fit_levels,
)

POINTS = np.array([[0.0, 1.0], [0.2, 1.1], [1.0, 0.1], [1.1, 0.0], [2.0, 0.4], [2.1, 0.5]])
LEVELS = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])


def fitted(points: Matrix, levels: Matrix, top: int, reviewed: int = 0) -> LevelProcess:
    return fit_levels(blocks(points @ points.T), nothing_general(len(points)), Labels(levels, top, reviewed), Priors())


def nothing_general(count: int) -> Matrix:
    return np.zeros((count, 2))


def blocks(similarity: Matrix) -> Blocks:
    """The same similarity by contents and surface, and none by descriptors."""
    return Blocks(similarity, 0 * similarity, similarity)


def at(process: LevelProcess, points: Matrix, point: Matrix) -> tuple[int, float]:
    found = process.estimate(blocks(points @ point), blocks(point @ point), np.zeros(2))
    return found.level, found.confidence


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

    plain_level, plain_confidence = at(fitted(POINTS, LEVELS, 2), POINTS, POINTS[1])
    moved_level, moved_confidence = at(fitted(shifted, LEVELS, 2), shifted, shifted[1])

    assert moved_level == plain_level
    assert moved_confidence == pytest.approx(plain_confidence)


def test_the_order_of_labelled_answers_does_not_matter() -> None:
    order = [3, 0, 5, 1, 4, 2]

    _, one = at(fitted(POINTS, LEVELS, 2), POINTS, np.array([0.5, 0.5]))
    _, other = at(fitted(POINTS[order], LEVELS[order], 2), POINTS[order], np.array([0.5, 0.5]))

    assert one == pytest.approx(other)


def test_estimates_have_the_variance_of_the_levels() -> None:
    dice = np.random.default_rng(1)
    points = dice.normal(size=(60, 3))
    levels = np.clip(np.round(4 + 1.5 * points[:, 0] + 1.5 * dice.normal(size=60)), 0, 8)
    fit = fitted(points, levels, 8)
    others = dice.normal(size=(200, 3))

    estimated = np.array([at(fit, points, point)[0] for point in others])

    assert estimated.std() == pytest.approx(levels.std(), rel=0.15)


def test_unequal_levels_do_not_pull_estimates_to_the_middle_of_the_scale() -> None:
    alike = np.ones((8, 2))

    level, _ = at(fitted(alike, np.array([0.0, 0, 0, 0, 0, 0, 1, 1]), 4), alike, np.ones(2))

    assert level == 0


def test_labels_choose_how_much_the_surface_counts() -> None:
    dice = np.random.default_rng(2)
    content, surface = dice.normal(size=(40, 8)), dice.normal(size=(40, 2))
    similarity = Blocks(content @ content.T, 0 * content @ content.T, surface @ surface.T)

    def surface_share(levels: Matrix) -> float:
        labels = Labels(np.clip(np.round(4 + levels), 0, 8), 8)
        processes = fit_levels(similarity, nothing_general(40), labels, Priors()).processes
        return float(sum(each.share * each.blocks[2] / (1 - each.noise) for each in processes))

    assert surface_share(2 * surface[:, 0]) > 0.4 > surface_share(2 * content[:, 0])


def test_leave_one_out_estimates_are_those_of_a_fit_without_the_answer() -> None:
    left_out = fitted(POINTS, LEVELS, 2).labelled

    assert [each.level for each in left_out] == LEVELS.tolist()
    assert all(each.error > 0 for each in left_out)


def test_among_reviewed_answers_the_most_frequent_level_is_likely() -> None:
    """Levels at the ends of the scale are frequent, and the one between them is not."""
    alike, levels = np.ones((8, 2)), np.array([0.0, 0, 0, 0, 0, 2, 2, 2])

    level, _ = at(fitted(alike, levels, 2, reviewed=8), alike, np.ones(2))

    assert level == 0


def test_the_levels_of_a_rubrics_examples_do_not_tell_how_frequent_levels_are() -> None:
    alike, levels = np.ones((8, 2)), np.array([0.0, 0, 0, 0, 0, 2, 2, 2])

    level, _ = at(fitted(alike, levels, 2), alike, np.ones(2))

    assert level == 1


def test_with_a_high_weight_of_kappa_a_level_between_the_frequent_ones_is_chosen() -> None:
    alike, levels = np.ones((8, 2)), np.array([0.0, 0, 0, 0, 0, 2, 2, 2])
    similarity = blocks(alike @ alike.T)

    process = fit_levels(similarity, nothing_general(8), Labels(levels, 2, 8), Priors(kappa_weight=4.0))
    level, _ = at(process, alike, np.ones(2))

    assert level == 1


def test_a_general_score_decides_if_nothing_else_tells_essays_apart() -> None:
    """No two answers are similar, so only the score that predicts the labels can place the others."""
    alone = blocks(np.eye(6))
    general = np.array([[-1.5, 0.2], [-1, -0.4], [-0.4, 0.3], [0.4, -0.3], [1, 0.4], [1.5, 0]])
    process = fit_levels(alone, general, Labels(np.array([0.0, 0, 1, 1, 2, 2]), 2), Priors(slope=0.6))
    unlike = blocks(np.zeros(6))

    low, high = (process.estimate(unlike, blocks(np.array(1.0)), np.array([score, 0.0])) for score in (-1.5, 1.5))

    assert (low.level, high.level) == (0, 2)


def test_labels_choose_the_general_score_that_agrees_with_them() -> None:
    dice = np.random.default_rng(4)
    general = dice.normal(size=(40, 2))
    similarity = blocks(np.zeros((40, 40)))

    def share_of_length(score: int) -> float:
        labels = Labels(np.clip(np.round(4 + 2 * general[:, score]), 0, 8), 8)
        processes = fit_levels(similarity, general, labels, Priors(slope=0.6)).processes
        return sum(each.share for each in processes if each.slopes[1])

    assert share_of_length(1) > 0.9
    assert share_of_length(0) < 0.1


def test_confidence_rises_with_the_share_of_right_levels_among_the_labelled_answers() -> None:
    """The same estimates, with other labels: by leave-one-out, levels without any pattern are mostly wrong."""
    dice = np.random.default_rng(5)
    points = dice.normal(size=(40, 2))
    order = np.argsort(points[:, 0])
    sorted_levels = np.empty(40)
    sorted_levels[order] = np.arange(40) // 14
    shuffled = dice.permutation(sorted_levels)

    with_pattern, without = (fitted(points, levels, 2, reviewed=40) for levels in (sorted_levels, shuffled))

    assert with_pattern.right > with_pattern.sure
    assert with_pattern.right > without.right
