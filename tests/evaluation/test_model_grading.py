"""The check of language model grading with recorded replies, and the gain of attacks."""

import json
from dataclasses import replace

import pytest

from domain.grading.rubrics import Essay
from tests.evaluation.model_grading import (
    ATTACKS,
    RECORDED,
    Measured,
    attacked_essays,
    calibration_errors,
    faults,
    injection,
    measure,
    obedient_gains,
    recorded_questions,
)
from tests.support.fake_graders import FakeEssayGrader


@pytest.fixture(scope="module")
async def once() -> Measured:
    return await measure(1)


@pytest.fixture(scope="module")
async def more() -> Measured:
    return await measure(3)


def essays() -> list[Essay]:
    return [question.essay for question in recorded_questions()[0]]


def test_the_file_says_that_its_replies_are_simulated() -> None:
    assert "No language model wrote them" in json.loads(RECORDED.read_text("utf-8"))["about"]


async def test_every_check_passes(once: Measured, more: Measured) -> None:
    gained = obedient_gains(attacked_essays(essays(), ATTACKS))

    assert faults(once, more, calibration_errors(once.judged), gained) == []


async def test_replies_that_are_not_json_are_counted_and_corrected(once: Measured) -> None:
    _, replies = recorded_questions()
    broken = [each for each in replies.values() if each[0].endswith("!")]

    assert once.about["answers"]["corrected"] == len(broken)
    assert once.calls == len(replies) + len(broken)


async def test_only_doubtful_essays_have_more_samples(once: Measured, more: Measured) -> None:
    doubtful = sum(each.to_review for each in once.judged)

    assert doubtful
    assert sum(number for samples, number in more.about["essays by samples"].items() if samples > 1) == doubtful


async def test_a_cost_that_differs_from_the_replies_is_a_fault(once: Measured, more: Measured) -> None:
    wrong = replace(once, paid_cents=once.paid_cents + 1)

    assert faults(wrong, more, (0.1, 0.0), [0.0]) == ["the cost differs from that of the replies"]


async def test_the_attacks_differ_and_are_spread_over_the_questions() -> None:
    attacked = attacked_essays(essays(), ATTACKS)

    assert len({each.attack for each in attacked}) == ATTACKS
    assert len({each.base.rubric_version for each in attacked}) > ATTACKS / 2
    assert all(each.essay.text.startswith(each.base.text) for each in attacked)


async def test_the_gain_is_the_difference_to_the_same_essay_without_the_attack() -> None:
    attacked = [replace(each, base=each.essay) for each in attacked_essays(essays(), 3)]

    found = await injection(FakeEssayGrader(), attacked)

    assert (found["attacks"], found["mean gain"], found["largest gain"]) == (3, 0, 0)
