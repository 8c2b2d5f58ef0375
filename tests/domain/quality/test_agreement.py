"""Agreement with reviewers, compared with R's psych, and the calibration of stated confidence."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import pytest

from domain.quality.agreement import (
    Pair,
    ReviewedAnswer,
    Sample,
    Scale,
    agreement,
    calibration,
    calibration_error,
    quadratic_kappa,
    sample_of,
)
from tests.domain.quality.reference import PRECISION, REFERENCE

QUESTION = UUID(int=1)
CLARITY = Scale(question_id=QUESTION, criterion="clarity", levels=("low", "middle", "high", "top", "best"))
DEPTH = Scale(question_id=QUESTION, criterion="depth", levels=("low", "high"))
MIXED = [(0, 0), (0, 1), (1, 1), (2, 1), (3, 3), (3, 2), (1, 0), (2, 2)] * 5


def answer(number: int, **pairs: tuple[int, int]) -> ReviewedAnswer:
    scales = {"clarity": CLARITY, "depth": DEPTH}
    return ReviewedAnswer(
        assessment_id=uuid5(QUESTION, str(number)),
        sample=Sample.AUDIT,
        pairs={scales[name]: Pair(*levels, 0.9) for name, levels in pairs.items()},
    )


def answers(pairs: Sequence[tuple[int, int]]) -> list[ReviewedAnswer]:
    return [answer(number, clarity=(graded, reviewed)) for number, (graded, reviewed) in enumerate(pairs)]


@pytest.mark.parametrize("case", REFERENCE["kappas"])
def test_quadratic_kappa_equals_psych(case: dict[str, Any]) -> None:
    found = quadratic_kappa(Counter((a, b) for a, b in case["pairs"]))

    assert found == pytest.approx(case["kappa"], abs=PRECISION)


@pytest.mark.parametrize("case", REFERENCE["kappas"])
def test_the_interval_is_close_to_a_bootstrap_of_r(case: dict[str, Any]) -> None:
    found = agreement(answers(case["pairs"])).overall.quadratic_kappa

    assert found is not None
    assert found.value == pytest.approx(case["kappa"], abs=PRECISION)
    assert (found.low, found.high) == pytest.approx((case["low"], case["high"]), abs=0.03)


def test_the_interval_is_the_same_every_time() -> None:
    assert agreement(answers(MIXED)) == agreement(answers(MIXED))


def test_kappa_is_not_defined_with_a_single_level() -> None:
    assert agreement(answers([(1, 1)] * 40)).overall.quadratic_kappa is None


def test_exact_and_adjacent_are_shares_of_levels() -> None:
    found = agreement(answers([(0, 0), (0, 1), (0, 2), (3, 3)])).overall

    assert (found.levels, found.exact, found.adjacent) == (4, 0.5, 0.75)


def test_without_answers_there_are_no_figures() -> None:
    found = agreement([])

    assert (found.answers, found.overall.levels, found.overall.exact, found.overall.quadratic_kappa) == (
        0,
        0,
        None,
        None,
    )
    assert (found.calibration, found.calibration_error) == ((), None)


def test_abstentions_are_counted_and_are_not_disagreement() -> None:
    found = agreement([*answers([(0, 0), (1, 1)]), answer(9)])

    assert (found.answers, found.abstained, found.overall.exact) == (3, 1, 1.0)


def test_the_overall_kappa_is_the_mean_of_the_criteria_weighted_by_levels() -> None:
    agreeing = [answer(number, clarity=(number % 2, number % 2)) for number in range(30)]
    opposed = [answer(100 + number, depth=(number % 2, 1 - number % 2)) for number in range(10)]

    found = agreement([*agreeing, *opposed])

    kappas = {scale.criterion: each.quadratic_kappa for scale, each in found.criteria.items()}
    assert [kappas["clarity"] and kappas["clarity"].value, kappas["depth"] and kappas["depth"].value] == [1, -1]
    assert found.overall.quadratic_kappa
    assert found.overall.quadratic_kappa.value == pytest.approx((30 * 1 - 10 * 1) / 40)


def test_the_criteria_of_an_assessment_are_resampled_together() -> None:
    alone = agreement(answers(MIXED)).overall.quadratic_kappa
    copies = Scale(question_id=QUESTION, criterion="copy", levels=CLARITY.levels)
    doubled = [
        ReviewedAnswer(
            assessment_id=each.assessment_id,
            sample=each.sample,
            pairs={**each.pairs, copies: each.pairs[CLARITY]},
        )
        for each in answers(MIXED)
    ]

    assert agreement(doubled).overall.quadratic_kappa == pytest.approx(alone)


def test_confidence_is_compared_with_the_share_that_reviewers_confirmed() -> None:
    right, wrong = Pair(1, 1, 0.9), Pair(1, 0, 0.9)

    found = calibration([right, right, right, wrong, Pair(1, 1, 1.0), Pair(0, 1, 0.25)])

    assert [(each.low, each.levels, each.confirmed) for each in found] == [(0.2, 1, 0.0), (0.9, 5, 0.8)]
    assert calibration_error(found) == pytest.approx((0.25 + 5 * abs(0.92 - 0.8)) / 6)


@pytest.mark.parametrize(
    ("facts", "sample"),
    [
        ((), Sample.OTHER),
        (("audited",), Sample.AUDIT),
        (("doubted",), Sample.DOUBTED),
        (("doubted", "audited"), Sample.DOUBTED),
        (("appealed",), Sample.APPEALED),
        (("appealed", "audited"), Sample.APPEALED),
        (("appealed", "doubted"), Sample.APPEALED),
    ],
    ids=str,
)
def test_only_confident_grades_that_the_queue_drew_are_the_audit_sample(facts: tuple[str, ...], sample: Sample) -> None:
    found = sample_of(doubted="doubted" in facts, audited="audited" in facts, appealed="appealed" in facts)

    assert found is sample
