import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recommending.calibration import LEAST_REACTIONS, UNCALIBRATED, Calibration, Tally, calibrate


def tallies(share_liked: float, reactions: float = 200, scores: tuple[float, ...] = (0.3, 0.5, 0.7)) -> list[Tally]:
    each = reactions / len(scores)
    return [Tally(score=score, reactions=each, liked=each * share_liked) for score in scores]


def test_with_too_few_reactions_the_chance_is_the_score() -> None:
    few = calibrate(tallies(1.0, LEAST_REACTIONS - 1))

    assert few == UNCALIBRATED
    assert few.chance(0.37) == 0.37


def test_a_calibration_has_its_number_of_reactions() -> None:
    assert calibrate(tallies(0.8, LEAST_REACTIONS)).reactions == LEAST_REACTIONS


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_if_scores_do_not_predict_the_chance_is_near_the_share_of_positive_reactions(share: float) -> None:
    calibration = calibrate(tallies(share, 3_000))

    assert calibration.chance(0.5) == pytest.approx(share, abs=0.05)


def test_scores_that_are_already_calibrated_do_not_change() -> None:
    right = [Tally(score=score / 20, reactions=100, liked=100 * score / 20) for score in range(1, 20)]

    assert [calibrate(right).chance(score) for score in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9], abs=0.01)


def test_few_reactions_move_the_chance_less_than_many() -> None:
    few, many = (calibrate(tallies(0.95, reactions)).chance(0.4) for reactions in (30, 3_000))

    assert 0.4 < few < many


counts = st.tuples(st.floats(0, 1), st.integers(0, 300), st.floats(0, 1))


@given(st.lists(counts, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_a_chance_lies_within_0_and_1_and_never_falls_as_the_score_grows(
    seen: list[tuple[float, int, float]], one: float, other: float
) -> None:
    calibration = calibrate(Tally(score=score, reactions=n, liked=n * share) for score, n, share in seen)

    low, high = sorted((one, other))
    assert 0 <= calibration.chance(low) <= calibration.chance(high) <= 1


def test_scores_that_predict_the_opposite_do_not_reverse_the_order() -> None:
    worse = [Tally(score=0.2, reactions=500, liked=450), Tally(score=0.8, reactions=500, liked=50)]

    assert calibrate(worse).slope == 0


def test_the_order_of_tallies_changes_nothing() -> None:
    seen = tallies(0.7)

    assert calibrate(seen) == calibrate(seen[::-1])


def test_a_chance_at_the_ends_of_the_scale_is_never_0_or_1() -> None:
    certain = Calibration(shift=2.0, slope=3.0, reactions=40)

    assert 0 < certain.chance(0.0) < certain.chance(1.0) < 1
