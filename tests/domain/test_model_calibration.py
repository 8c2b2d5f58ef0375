"""Calibration of a language model's confidence on reviews."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.grading.model_calibration import (
    FEWEST_LEVELS,
    HIGHEST,
    LOWEST,
    UNCALIBRATED,
    CriterionKey,
    ReviewedLevel,
    calibrate,
)
from domain.grading.scores import CriterionRating

CAUSE, REMEDY = CriterionKey("v1", "cause"), CriterionKey("v1", "remedy")
SURE, UNSURE = Decimal("0.9"), Decimal("0.45")


def reviewed(key: CriterionKey, confirmed: int, changed: int, confidence: Decimal = SURE) -> list[ReviewedLevel]:
    verdicts = [True] * confirmed + [False] * changed
    return [ReviewedLevel(key=key, confidence=confidence, confirmed=verdict) for verdict in verdicts]


LEVELS = st.builds(
    ReviewedLevel,
    key=st.sampled_from([CAUSE, REMEDY, CriterionKey("v2", "cause")]),
    confidence=st.sampled_from([SURE, UNSURE, Decimal(0), Decimal(1), Decimal("0.765")]),
    confirmed=st.booleans(),
)


def test_few_reviews_change_nothing() -> None:
    assert calibrate(reviewed(CAUSE, 0, FEWEST_LEVELS - 1)) is UNCALIBRATED


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_many_reviews_give_the_confirmed_share(share: float) -> None:
    found = calibrate(reviewed(CAUSE, round(1_000 * share), round(1_000 * (1 - share))))

    assert float(found.confidence(CAUSE, SURE)) == pytest.approx(share, abs=0.02)


def test_a_criterion_with_few_reviews_gets_a_confidence_near_that_of_the_others() -> None:
    found = calibrate([*reviewed(CAUSE, 180, 20), *reviewed(REMEDY, 0, 2)])

    assert 0.7 < found.confidence(REMEDY, SURE) < found.confidence(CAUSE, SURE)


def test_criteria_that_reviewers_change_more_often_get_less_confidence() -> None:
    found = calibrate([*reviewed(CAUSE, 190, 10), *reviewed(REMEDY, 100, 100)])

    assert float(found.confidence(CAUSE, SURE)) == pytest.approx(0.95, abs=0.03)
    assert float(found.confidence(REMEDY, SURE)) == pytest.approx(0.5, abs=0.03)


def test_an_unknown_criterion_gets_the_confidence_of_all() -> None:
    found = calibrate(reviewed(CAUSE, 150, 50))

    assert 0.6 < found.confidence(REMEDY, SURE) < 0.85


def test_a_higher_confidence_is_never_a_lower_probability() -> None:
    found = calibrate([*reviewed(CAUSE, 100, 300, SURE), *reviewed(CAUSE, 300, 100, UNSURE)])

    assert found.confidence(CAUSE, SURE) == found.confidence(CAUSE, UNSURE)


@given(st.lists(LEVELS, min_size=FEWEST_LEVELS, max_size=60), st.randoms())
def test_the_calibration_depends_only_on_the_counts_and_stays_in_its_range(
    levels: list[ReviewedLevel], dice: Random
) -> None:
    shuffled = list(levels)
    dice.shuffle(shuffled)

    found = calibrate(levels)

    assert found == calibrate(shuffled)
    assert found.version
    for before in (Decimal(0), UNSURE, SURE, Decimal(1)):
        assert LOWEST <= found.confidence(CAUSE, before) <= HIGHEST
    assert found.confidence(CAUSE, UNSURE) <= found.confidence(CAUSE, SURE)


def test_a_calibrated_rating_has_both_confidences() -> None:
    rating = CriterionRating(criterion="cause", level="Strong", points=Decimal(4), rationale="So.", confidence=SURE)
    found = calibrate(reviewed(CAUSE, 100, 100))

    (after,) = found.ratings("v1", [rating])

    assert (after.raw_confidence, after.level) == (SURE, "Strong")
    assert after.confidence < SURE
    assert UNCALIBRATED.ratings("v1", [rating]) == (rating,)
