"""The choice of the shown and the graded answers."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.grading.scores import CriterionRating, Spent
from tests.evaluation.answers import an_item
from tests.evaluation.graders import unscored
from tests.evaluation.trials import Protocol, questions

ANSWERS = [(f"Answer number {place}.", place % 2) for place in range(8)]
LEAVE_ONE_OUT = Protocol(shown=None)
SPLIT = Protocol(shown=2, splits=4)


def test_every_answer_is_graded_once_by_all_the_others() -> None:
    item = an_item(*ANSWERS)
    asked = sorted(questions(item, LEAVE_ONE_OUT), key=lambda each: each.answer)

    assert [each.essay.text for each in asked] == [answer.text for answer in item.answers]
    for each in asked:
        others = {answer.text for answer in item.answers} - {each.essay.text}
        assert {answer.text for answer in each.essay.labelled} == others


def test_a_rubrics_own_examples_are_shown_as_examples() -> None:
    first, *_ = questions(an_item(*ANSWERS, own=True), LEAVE_ONE_OUT)

    assert (len(first.essay.rubric.anchors), first.essay.labelled) == (7, ())


def test_rubrics_with_other_examples_have_other_versions() -> None:
    asked = questions(an_item(*ANSWERS, own=True), LEAVE_ONE_OUT)

    assert len({each.essay.rubric_version for each in asked}) == 8


@pytest.mark.parametrize("shown", [1, 5])
def test_a_split_grades_only_answers_that_it_does_not_show(shown: int) -> None:
    for each in questions(an_item(*ANSWERS), Protocol(shown=shown, splits=3)):
        assert len(each.essay.labelled) == shown
        assert each.essay.text not in {answer.text for answer in each.essay.labelled}


def test_essays_of_all_splits_have_different_ids() -> None:
    asked = list(questions(an_item(*ANSWERS), SPLIT))

    assert len({each.essay.snapshot_id for each in asked}) == len(asked)


def test_splits_differ_and_are_the_same_every_time() -> None:
    def shown() -> list[tuple[str, ...]]:
        asked = questions(an_item(*ANSWERS), Protocol(shown=2, splits=5, graded=1))
        return [tuple(answer.text for answer in each.essay.labelled) for each in asked]

    assert shown() == shown()
    assert len({*shown()}) > 1


@pytest.mark.parametrize(("protocol", "graded"), [(LEAVE_ONE_OUT, 3), (SPLIT, 12)])
def test_no_more_are_graded_than_wanted(protocol: Protocol, graded: int) -> None:
    assert len(list(questions(an_item(*ANSWERS), replace(protocol, graded=3)))) == graded


def test_an_item_with_too_few_answers_gives_nothing_to_grade() -> None:
    assert list(questions(an_item(*ANSWERS), Protocol(shown=8))) == []


def test_levels_count_from_the_lowest() -> None:
    asked = next(each for each in questions(an_item(*ANSWERS), LEAVE_ONE_OUT) if each.answer == 1)
    rating = CriterionRating(
        criterion="cause", level="Missing", points=Decimal(0), rationale="", confidence=Decimal("0.4")
    )
    score = replace(
        unscored(asked.essay, "a-model", Spent(latency_ms=7, cost_cents=None)), points=Decimal(0), ratings=(rating,)
    )

    found = asked.judged(score)

    assert (found.true, found.given, found.confidences) == ((1,), (0,), (0.4,))
    assert (found.latency_ms, found.cost_cents) == (7, None)


def test_an_abstention_gives_no_levels() -> None:
    asked = next(questions(an_item(*ANSWERS), LEAVE_ONE_OUT))

    found = asked.judged(unscored(asked.essay, "a-model", Spent(latency_ms=0, cost_cents=None)))

    assert (found.given, found.confidences, found.to_review) == ((), (), True)
