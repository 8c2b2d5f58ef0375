from decimal import Decimal
from itertools import product

import pytest

from domain.assessments.release import holds, is_lowered
from domain.organizations import ReleasePolicy
from tests.domain.builders import an_id

FIRST, SECOND = an_id("first"), an_id("second")


@pytest.mark.parametrize(("needs_review", "lowered"), [*product((True, False), repeat=2)])
def test_a_policy_holds_what_it_names(*, needs_review: bool, lowered: bool) -> None:
    held = {policy: holds(policy, needs_review=needs_review, lowered=lowered) for policy in ReleasePolicy}

    assert held == {
        ReleasePolicy.AT_ONCE: False,
        ReleasePolicy.DOUBTFUL_HELD: needs_review or lowered,
        ReleasePolicy.ALL_HELD: True,
    }


def test_one_lowered_score_lowers_a_result() -> None:
    shown = {FIRST: Decimal(1), SECOND: Decimal(1)}

    assert is_lowered(shown, {FIRST: Decimal(3), SECOND: Decimal("0.5")})
    assert not is_lowered(shown, {FIRST: Decimal(3), SECOND: Decimal(1)})


def test_a_question_without_points_is_not_compared() -> None:
    assert not is_lowered({}, {FIRST: Decimal(0)})
    assert not is_lowered({FIRST: None}, {FIRST: Decimal(0)})
    assert not is_lowered({FIRST: Decimal(1)}, {FIRST: None})
