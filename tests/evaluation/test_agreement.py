"""Kappa and calibration, compared with scikit-learn and with results by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tests.evaluation.agreement import Judged, calibration, calibration_error, figures, kappa, kappas, within
from tests.evaluation.answers import judged, judged_all

MIXED = [(0, 0), (0, 1), (1, 1), (2, 1), (3, 3), (3, 2), (1, 0), (2, 2)]


@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_scikit_learns(seed: int, quadratic: bool) -> None:  # noqa: FBT001  # a parameter of the test
    pairs = np.random.default_rng(seed).integers(0, 4, size=(40, 2)).tolist()

    expected = cohen_kappa_score(*zip(*pairs, strict=True), weights="quadratic" if quadratic else None)

    assert kappa(judged_all(pairs), quadratic=quadratic).value == pytest.approx(expected)


def test_kappa_of_a_textbook_table() -> None:
    assert kappas(np.array([[20.0, 5.0], [10.0, 15.0]]), quadratic=False) == pytest.approx(0.4)


def test_kappa_is_not_defined_with_a_single_level() -> None:
    assert math.isnan(kappa(judged_all([(1, 1), (1, 1)])).value)


def test_kappa_without_answers_is_not_defined() -> None:
    assert all(map(math.isnan, kappa([])))


def test_kappa_is_the_mean_over_trials_and_then_over_items() -> None:
    right, wrong = [(0, 0), (1, 1)], [(0, 1), (1, 0)]
    found = kappa(
        judged_all(right, item="a", trial=0)
        + judged_all(wrong, item="a", trial=1)
        + judged_all(wrong, item="a", trial=2)
        + judged_all(right, item="b")
    )
    assert found.value == pytest.approx((-1 / 3 + 1) / 2)


def test_a_trial_without_a_kappa_does_not_count() -> None:
    found = kappa(judged_all([(0, 0), (1, 1)], trial=0) + judged_all([(1, 1), (1, 1)], trial=1))

    assert found.value == pytest.approx(1)


def test_the_interval_is_the_same_every_time_and_holds_the_value() -> None:
    found = kappa(judged_all(MIXED))

    assert kappa(judged_all(MIXED)) == found
    assert found.low < found.value < found.high


def test_more_answers_make_the_interval_narrower() -> None:
    few, many = kappa(judged_all(MIXED)), kappa(judged_all(MIXED * 10))

    assert many.high - many.low < few.high - few.low


def test_items_are_resampled_independently() -> None:
    one = kappa(judged_all(MIXED, item="a"))
    four = kappa([each for item in "abcd" for each in judged_all(MIXED, item=item)])

    assert four.value == pytest.approx(one.value)
    assert four.high - four.low < 0.7 * (one.high - one.low)


def test_an_answers_trials_are_resampled_together() -> None:
    once = kappa(judged_all(MIXED))
    repeated = kappa([replace(each, trial=trial) for trial in range(10) for each in judged_all(MIXED)])

    assert repeated == pytest.approx(once)


@pytest.mark.parametrize(("levels", "share"), [(0, 0.5), (1, 1.0)])
def test_exact_and_adjacent_are_shares_of_levels(levels: int, share: float) -> None:
    assert within(judged_all(MIXED), levels) == share


def test_confidence_falls_into_equal_bins_with_both_ends() -> None:
    sure = [0.0, 0.05, 0.3, 0.7, 0.95, 1.0]
    found = calibration([judged(1, 1, confidence=each) for each in sure])

    assert [(each.low, each.levels) for each in found] == [(0.0, 2), (0.3, 1), (0.7, 1), (0.9, 2)]


def test_the_calibration_error_weighs_bins_by_their_levels() -> None:
    found = calibration(
        [judged(1, 1, confidence=0.9)] * 3 + [judged(1, 0, confidence=0.9), judged(1, 0, confidence=0.5)]
    )

    assert [(each.levels, each.right) for each in found] == [(1, 0.0), (4, 0.75)]
    assert calibration_error(found) == pytest.approx((1 * 0.5 + 4 * 0.15) / 5)


def test_abstentions_count_as_review_and_not_as_agreement() -> None:
    found = figures([*judged_all([(0, 0), (1, 1), (1, 1)]), judged(1, None, answer=3)])

    assert (found.abstained, found.to_review, found.exact) == (0.25, 0.25, 1.0)


def test_the_rest_are_the_answers_without_a_review() -> None:
    found = figures([*judged_all([(0, 0), (1, 1)]), judged(1, 0, answer=2, to_review=True)])

    assert found.exact == pytest.approx(2 / 3)
    assert (found.rest_exact, found.rest_kappa.value) == (1.0, 1.0)


def surest_of(confidences: Sequence[float], trial: int) -> list[Judged]:
    """Build ten answers of a trial; the three with the lowest confidence are wrong."""
    least = sorted(confidences)[:3]
    return [
        judged(place % 2, (place + (sure in least)) % 2, answer=place, trial=trial, confidence=sure)
        for place, sure in enumerate(confidences)
    ]


def test_the_surest_are_chosen_in_each_trial() -> None:
    low, high = [place / 20 for place in range(10)], [0.5 + place / 20 for place in range(10)]
    found = figures([*surest_of(low, 0), *surest_of(high, 1)])

    assert (found.exact, found.surest_exact) == (0.7, 1.0)


def test_an_unknown_cost_makes_the_sum_incomplete() -> None:
    known = judged(1, 1, cost_cents=Decimal("0.25"))
    found = figures([known, known, replace(known, cost_cents=None)])

    assert (found.cost_cents, found.cost_complete) == (Decimal("0.50"), False)


def test_every_share_has_an_interval_around_it() -> None:
    found = figures(judged_all([(0, 0), (1, 1), (1, 0), (0, 1), (1, 1), (0, 0), (1, 1), (0, 1)]))

    for name, (low, high) in found.intervals.items():
        if name != "rest_exact":
            assert low <= high
    low, high = found.intervals["exact"]
    assert low < found.exact < high


def test_a_share_that_never_varies_has_an_interval_without_width() -> None:
    assert figures(judged_all([(0, 0), (1, 1)])).intervals["exact"] == (1.0, 1.0)
