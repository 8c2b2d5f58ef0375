"""The rules of questions and rubrics. Each error names the field."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.assessments.questions import Anchor, EssayRubric, Level, QuestionKind, QuestionType
from tests.domain.builders import (
    CHOICES,
    answer_format,
    criterion,
    essay,
    levels,
    multiple,
    number,
    question,
    scale,
    single,
)


@pytest.mark.parametrize(
    ("kind", "question_type"),
    [
        (QuestionKind.SINGLE, QuestionType.MULTIPLE_CHOICE),
        (QuestionKind.MULTIPLE, QuestionType.MULTIPLE_CHOICE),
        (QuestionKind.NUMBER, QuestionType.MULTIPLE_CHOICE),
        (QuestionKind.SCALE, QuestionType.PROFILE),
        (QuestionKind.TEXT, QuestionType.ESSAY),
    ],
)
def test_every_kind_has_its_public_type(kind: QuestionKind, question_type: QuestionType) -> None:
    assert kind.question_type is question_type


@pytest.mark.parametrize("build", [single, multiple, number])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"points": Decimal(0)}, "points"),
        ({"points": Decimal("NaN")}, "points"),
        ({"points": Decimal("Infinity")}, "points"),
        ({"points": Decimal("0.00005")}, "points"),
        ({"points": Decimal(1000)}, "points"),
        ({"explanation": " "}, "explanation"),
        ({"skills": ()}, "skills"),
        ({"skills": ("SQL", "SQL")}, "skills"),
        ({"skills": ("SQL", " ")}, "skills"),
    ],
)
def test_a_rubric_with_a_right_answer_needs_points_explanation_and_skills(
    build: Callable[..., object], change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        build(**change)


@pytest.mark.parametrize(
    ("build", "change", "field"),
    [
        (single, {"correct": ""}, "correct"),
        (multiple, {"correct": ()}, "correct"),
        (multiple, {"correct": ("red", "red")}, "correct"),
        (multiple, {"penalty": Decimal("-0.1")}, "penalty"),
        (multiple, {"penalty": Decimal("2.1")}, "penalty"),
        (number, {"value": Decimal("NaN")}, "value"),
        (number, {"tolerance": Decimal(-1)}, "tolerance"),
        (number, {"tolerance": Decimal("Infinity")}, "tolerance"),
        (number, {"value": Decimal(0), "tolerance_kind": "relative"}, "tolerance_kind"),
        (scale, {"evidence": {"only": Decimal(1)}}, "evidence"),
        (scale, {"evidence": {"a": Decimal(0), "b": Decimal("1.01")}}, "evidence.b"),
        (scale, {"evidence": {"a": Decimal("-0.01"), "b": Decimal(1)}}, "evidence.a"),
        (scale, {"skills": ()}, "skills"),
    ],
)
def test_a_rule_rubric_that_cannot_be_scored_is_refused(
    build: Callable[..., object], change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        build(**change)


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ((0,), "levels: must have at least 2"),
        ((1, 2), "levels: points must rise strictly from 0"),
        ((0, 2, 2), "levels: points must rise strictly from 0"),
        ((0, 2, 1), "levels: points must rise strictly from 0"),
    ],
)
def test_points_of_levels_must_rise_from_0(points: tuple[int, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        criterion(levels=levels(*points))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": ""}, "key"),
        ({"skills": ()}, "skills"),
        ({"levels": levels(0, 1, names=("Same", "Same"))}, "levels"),
    ],
)
def test_a_criterion_needs_a_key_skills_and_distinct_levels(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        criterion(**{"key": "cause"} | change)


@pytest.mark.parametrize("points", ["-1", "0.00001", "1000", "NaN"])
def test_a_level_is_worth_points_that_can_be_stored(points: str) -> None:
    with pytest.raises(ValueError, match=r"^points: "):
        Level(name="Strong", points=Decimal(points), descriptor="")


def test_an_essay_needs_a_criterion() -> None:
    with pytest.raises(ValueError, match=r"^criteria: "):
        EssayRubric(criteria=())


def test_criteria_have_distinct_keys() -> None:
    with pytest.raises(ValueError, match=r"^criteria: must not repeat"):
        essay(criterion("same"), criterion("same"))


def test_an_essay_is_worth_what_its_column_can_hold() -> None:
    with pytest.raises(ValueError, match=r"^criteria: "):
        essay(criterion("a", 0, 500), criterion("b", 0, 500))


def test_an_essay_is_worth_its_criteria_together() -> None:
    assert essay(criterion("a", 0, 4), criterion("b", 0, 1, 6)).max_points == 10


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"cause": "Strong"}, "levels"),
        ({"cause": "Strong", "remedy": "Missing", "style": "Strong"}, "levels"),
        ({"cause": "Strong", "remedy": "Brilliant"}, "levels.remedy"),
    ],
)
def test_an_anchor_is_labelled_on_every_criterion_of_the_rubric(labels: dict[str, str], field: str) -> None:
    good = Anchor(text="An answer.", levels={"cause": "Strong", "remedy": "Missing"})
    with pytest.raises(ValueError, match=rf"^anchors\.1\.{field}: "):
        essay(anchors=(good, Anchor(text="An answer.", levels=labels)))


def test_an_anchor_has_a_text() -> None:
    with pytest.raises(ValueError, match=r"^text: "):
        Anchor(text="\n", levels={})


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        (QuestionKind.SINGLE, {"choices": ("one",)}, "choices"),
        (QuestionKind.MULTIPLE, {"choices": ("one", "one")}, "choices"),
        (QuestionKind.SCALE, {"choices": ()}, "choices"),
        (QuestionKind.SINGLE, {"unit": "EUR"}, "unit"),
        (QuestionKind.NUMBER, {"choices": CHOICES}, "choices"),
        (QuestionKind.NUMBER, {"max_words": 10}, "max_words"),
        (QuestionKind.TEXT, {"minimum": Decimal(0)}, "minimum"),
        (QuestionKind.NUMBER, {"minimum": Decimal(2), "maximum": Decimal(1)}, "minimum"),
        (QuestionKind.NUMBER, {"maximum": Decimal("NaN")}, "maximum"),
        (QuestionKind.TEXT, {"min_words": 20, "max_words": 10}, "min_words"),
        (QuestionKind.TEXT, {"max_words": 0}, "max_words"),
        (QuestionKind.TEXT, {"max_chars": 20_001}, "max_chars"),
    ],
)
def test_an_answer_format_has_only_valid_fields_of_its_kind(
    kind: QuestionKind, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        answer_format(kind, **change)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: question(single(correct="white")), "rubric.correct"),
        (lambda: question(multiple(correct=("red", "white"))), "rubric.correct"),
        (lambda: question(scale(evidence={"red": Decimal(0), "green": Decimal(1)})), "rubric.evidence"),
        (lambda: question(number(), maximum=Decimal(1249)), "rubric.value"),
        (lambda: question(number(), minimum=Decimal(1251)), "rubric.value"),
        (lambda: replace(question(single()), rubric=multiple()), "rubric.kind"),
        (lambda: question(single(), weight="0"), "weight"),
        (lambda: question(single(), weight="1000"), "weight"),
        (lambda: question(single(), weight="0.001"), "weight"),
    ],
)
def test_a_question_without_a_possible_right_answer_is_rejected(build: Callable[[], object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        build()


@pytest.mark.parametrize("limits", [{}, {"minimum": Decimal(1250)}, {"maximum": Decimal(1250)}])
def test_the_right_number_may_lie_on_a_limit(limits: dict[str, Any]) -> None:
    assert question(number(), **limits).answer_format.admits(Decimal(1250))
