from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.assessments.attempts import Reveal
from domain.assessments.questions import Answer, MultipleChoiceRubric, RuleRubric
from domain.errors import CorruptData
from domain.grading.rules import explain_without_answer, score_rule, score_rules
from tests.domain.builders import CHOICES, essay, item, multiple, number, scale, single

ZERO, ONE = Decimal(0), Decimal(1)
SUBSETS = st.sets(st.sampled_from(CHOICES)).map(lambda chosen: tuple(sorted(chosen)))
POINTS = st.decimals(min_value=Decimal("0.01"), max_value=999, places=2)
NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=4)


@st.composite
def multiple_rubrics(draw: st.DrawFn) -> MultipleChoiceRubric:
    correct = tuple(draw(st.sets(st.sampled_from(CHOICES), min_size=1)))
    penalty = draw(st.decimals(min_value=0, max_value=len(correct), places=2))
    return multiple(points=draw(POINTS), correct=correct, penalty=penalty)


def fraction(rubric: RuleRubric, answer: Answer) -> Decimal:
    score = score_rule(item(rubric, answer))
    assert score.fraction is not None
    return score.fraction


@given(POINTS, st.sampled_from(CHOICES))
def test_one_choice_gives_all_points_or_none(points: Decimal, choice: str) -> None:
    score = score_rule(item(single(points=points), choice))
    assert (score.points, score.fraction) == ((points, ONE) if choice == "green" else (ZERO, ZERO))


@given(multiple_rubrics(), SUBSETS)
def test_partial_credit_follows_its_formula_and_is_rounded_once(
    rubric: MultipleChoiceRubric, chosen: tuple[str, ...]
) -> None:
    right = len(set(chosen) & set(rubric.correct))
    exact = max(Fraction(0), (right - Fraction(rubric.penalty) * (len(chosen) - right)) / len(rubric.correct))
    score = score_rule(item(rubric, chosen))
    assert score.fraction is not None
    assert abs(Fraction(score.fraction) - exact) <= Fraction(1, 20_000)
    assert abs(Fraction(score.points) - exact * Fraction(rubric.points)) <= Fraction(1, 20_000)


@given(multiple_rubrics(), SUBSETS)
def test_points_are_between_0_and_the_maximum(rubric: MultipleChoiceRubric, chosen: tuple[str, ...]) -> None:
    score = score_rule(item(rubric, chosen))
    assert 0 <= score.points <= score.max_points


@given(multiple_rubrics(), SUBSETS, st.sampled_from(CHOICES))
def test_another_right_choice_never_costs_points_and_a_wrong_one_never_adds_points(
    rubric: MultipleChoiceRubric, chosen: tuple[str, ...], further: str
) -> None:
    before, after = fraction(rubric, chosen), fraction(rubric, tuple({*chosen, further}))
    assert after >= before if further in rubric.correct else after <= before


@given(multiple_rubrics(), SUBSETS, st.randoms(use_true_random=False))
def test_the_order_of_choices_does_not_matter(
    rubric: MultipleChoiceRubric, chosen: tuple[str, ...], random: Random
) -> None:
    shuffled = list(chosen)
    random.shuffle(shuffled)
    assert score_rule(item(rubric, tuple(shuffled))) == score_rule(item(rubric, chosen))


def test_a_third_of_the_points_is_rounded_at_the_end() -> None:
    score = score_rule(item(multiple(points=Decimal(10), correct=("red", "green", "blue")), ("red",)))
    assert (str(score.fraction), str(score.points)) == ("0.3333", "3.3333")


def test_choosing_none_is_an_answer() -> None:
    assert score_rule(item(multiple(), ())).rule == "partial_credit"


@given(NUMBERS, st.decimals(min_value=0, max_value=1000, places=3))
def test_an_absolute_tolerance_includes_its_limit_exactly(value: Decimal, tolerance: Decimal) -> None:
    rubric = number(value=value, tolerance=tolerance)
    beyond = tolerance + Decimal("1E-12")
    assert [fraction(rubric, value + away) for away in (tolerance, -tolerance)] == [1, 1]
    assert [fraction(rubric, value + away) for away in (beyond, -beyond)] == [0, 0]


@given(NUMBERS.filter(bool), st.decimals(min_value=0, max_value=1, places=3))
def test_a_relative_tolerance_is_a_share_of_the_values_magnitude(value: Decimal, tolerance: Decimal) -> None:
    rubric = number(value=value, tolerance=tolerance, tolerance_kind="relative")
    edge = tolerance * abs(value)
    beyond = edge + Decimal("1E-12")
    assert [fraction(rubric, value + away) for away in (edge, -edge)] == [1, 1]
    assert [fraction(rubric, value + away) for away in (beyond, -beyond)] == [0, 0]


def test_equal_numbers_are_equal_however_they_are_written() -> None:
    assert fraction(number(tolerance=Decimal(0)), Decimal("1250.000")) == 1


@given(st.sampled_from(CHOICES))
def test_a_profile_answer_gives_evidence_and_no_points(choice: str) -> None:
    score = score_rule(item(scale(), choice))
    assert (score.points, score.max_points, score.fraction) == (ZERO, ZERO, scale().evidence[choice])


@pytest.mark.parametrize("rubric", [single(), multiple(), number()])
def test_an_unanswered_question_gives_no_points(rubric: RuleRubric) -> None:
    score = score_rule(item(rubric))
    assert (score.rule, score.points, score.fraction) == ("unanswered", ZERO, ZERO)


def test_an_unanswered_profile_question_has_no_fraction() -> None:
    score = score_rule(item(scale()))
    assert (score.rule, score.max_points, score.fraction) == ("unanswered", ZERO, None)


EXPLANATIONS = [
    (single(), "green", "single_choice", "Correct. The correct choice is “green”."),
    (single(), "red", "single_choice", "Not correct. The correct choice is “green”. Because the light says so."),
    (
        multiple(),
        ("red", "green"),
        "partial_credit",
        "Correct. You chose 2 of 2 correct choices and 0 wrong ones. The correct choices are “red” and “green”.",
    ),
    (
        multiple(),
        ("red", "blue"),
        "partial_credit",
        (
            "Partly correct: 25 % of the points. You chose 1 of 2 correct choices and 1 wrong one. Each wrong choice "
            "cancels 0.5 correct ones. The correct choices are “red” and “green”. Because the light says so."
        ),
    ),
    (
        multiple(penalty=Decimal(0)),
        ("blue",),
        "partial_credit",
        (
            "Not correct. You chose 0 of 2 correct choices and 1 wrong one. The correct choices are “red” and “green”. "
            "Because the light says so."
        ),
    ),
    (
        number(),
        Decimal(1255),
        "numeric_tolerance",
        "Correct. The correct value is 1250. Answers within 5 of it are accepted.",
    ),
    (
        number(tolerance=Decimal("0.0200"), tolerance_kind="relative"),
        Decimal(1),
        "numeric_tolerance",
        "Not correct. The correct value is 1250. Answers within 2 % of it are accepted. Because the light says so.",
    ),
    (
        number(tolerance=Decimal(0)),
        Decimal(1250),
        "numeric_tolerance",
        "Correct. The correct value is 1250. Only this value is accepted.",
    ),
    (
        scale(skills=("SQL querying", "Data cleaning")),
        "blue",
        "profile_evidence",
        ("You rated yourself, so no choice is right or wrong. Yours counts as 75 % in SQL querying and Data cleaning."),
    ),
    (single(), None, "unanswered", "You did not answer this question, so it gives 0 points."),
    (scale(), None, "unanswered", "You did not answer this question, so it does not affect your skill levels."),
]


@pytest.mark.parametrize(("rubric", "answer", "rule", "explanation"), EXPLANATIONS)
def test_a_score_has_its_rule_and_an_explanation(
    rubric: RuleRubric, answer: Answer, rule: str, explanation: str
) -> None:
    score = score_rule(item(rubric, answer))
    assert (score.rule, score.explanation) == (rule, explanation)


def test_an_explanation_names_the_unit() -> None:
    score = score_rule(item(number(), Decimal(1), unit="EUR"))
    assert "The correct value is 1250 EUR. Answers within 5 EUR of it are accepted." in score.explanation


@pytest.mark.parametrize(("points_lost", "shown"), [("0.001", "99 %"), ("1.999", "1 %")])
def test_partial_credit_is_never_shown_as_0_or_100_percent(points_lost: str, shown: str) -> None:
    score = score_rule(item(multiple(correct=("red", "green"), penalty=Decimal(points_lost)), ("red", "green", "blue")))
    assert f"Partly correct: {shown} of the points." in score.explanation


@pytest.mark.parametrize(
    ("rubric", "answer"),
    [(single(), Decimal(1)), (multiple(), "red"), (number(), "1250"), (scale(), "white"), (essay(), "A text.")],
)
def test_an_answer_of_another_kind_is_corrupt_data(rubric: RuleRubric, answer: Answer) -> None:
    with pytest.raises(CorruptData):
        score_rule(item(rubric, answer))


def test_all_items_except_essays_are_scored_in_order() -> None:
    items = [item(scale(), "red", name="a"), item(essay(), "A text.", name="b"), item(single(), name="c")]
    assert [score.snapshot_id for score in score_rules(items).scores] == [items[0].snapshot_id, items[2].snapshot_id]


@pytest.mark.parametrize(
    ("rubric", "answer", "text"),
    [
        (single(), "green", "Correct."),
        (single(), "red", "Not correct. The right answer is not shown for this role."),
        (multiple(), ("red",), "Partly correct: 50 % of the points. The right answer is not shown for this role."),
        (number(), Decimal(1), "Not correct. The right answer is not shown for this role."),
        (scale(), "blue", "You rated yourself, so no choice is right or wrong."),
        (scale(), None, "You did not answer this question, so it does not affect your skill levels."),
        (single(), None, "You did not answer this question, so it gives 0 points."),
    ],
)
def test_an_explanation_without_the_answer_gives_only_the_verdict(
    rubric: RuleRubric, answer: Answer | None, text: str
) -> None:
    score = score_rule(item(rubric, answer))

    assert explain_without_answer(score.rule, score.fraction, Reveal.NEVER) == text


def test_an_explanation_without_the_answer_says_that_it_is_shown_later() -> None:
    text = explain_without_answer("single_choice", Decimal(0), Reveal.AFTER_LAST_ATTEMPT)

    assert text == "Not correct. The right answer is shown after your last attempt."
