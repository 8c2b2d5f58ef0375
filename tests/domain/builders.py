"""Builders of questions, answers and scores. The defaults are valid; keyword arguments replace fields."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from domain.assessments.questions import (
    Answer,
    AnswerFormat,
    Criterion,
    EssayRubric,
    Item,
    Level,
    MultipleChoiceRubric,
    NumberRubric,
    Question,
    QuestionKind,
    Rubric,
    ScaleRubric,
    SingleChoiceRubric,
)
from domain.grading.scores import CriterionRating, EssayScore, RuleScore
from domain.ids import NAMESPACE

CHOICES = ("red", "green", "blue", "black")
REASON = "Because the light says so."
SQL = "SQL querying"
CLEANING = "Data cleaning"


def an_id(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


def single(**changes: Any) -> SingleChoiceRubric:
    valid = SingleChoiceRubric(points=Decimal(1), correct="green", explanation=REASON, skills=(SQL,))
    return replace(valid, **changes)


def multiple(**changes: Any) -> MultipleChoiceRubric:
    valid = MultipleChoiceRubric(
        points=Decimal(2), correct=("red", "green"), penalty=Decimal("0.5"), explanation=REASON, skills=(SQL,)
    )
    return replace(valid, **changes)


def number(**changes: Any) -> NumberRubric:
    valid = NumberRubric(
        points=Decimal(2),
        value=Decimal(1250),
        tolerance=Decimal(5),
        tolerance_kind="absolute",
        explanation=REASON,
        skills=(SQL,),
    )
    return replace(valid, **changes)


def scale(**changes: Any) -> ScaleRubric:
    evidence = dict(zip(CHOICES, map(Decimal, ("0", "0.25", "0.75", "1")), strict=True))
    return replace(ScaleRubric(evidence=evidence, skills=(SQL,)), **changes)


def levels(
    *points: int | str, names: Sequence[str] = ("Missing", "Emerging", "Proficient", "Strong")
) -> tuple[Level, ...]:
    return tuple(
        Level(name=name, points=Decimal(worth), descriptor=f"{name} work")
        for name, worth in zip(names, points, strict=False)
    )


def criterion(key: str = "cause", *points: int | str, **changes: Any) -> Criterion:
    valid = Criterion(
        key=key,
        name=f"Finds the {key}",
        description=f"What the {key} is.",
        skills=(SQL,),
        levels=levels(*(points or (0, 1, 2, 4))),
    )
    return replace(valid, **changes)


def essay(*criteria: Criterion, **changes: Any) -> EssayRubric:
    criteria = criteria or (criterion("cause"), criterion("remedy", 0, 1, 3, 6, skills=(CLEANING,)))
    return EssayRubric(criteria=criteria, **changes)


def answer_format(kind: QuestionKind, **changes: Any) -> AnswerFormat:
    choices = () if kind in (QuestionKind.NUMBER, QuestionKind.TEXT) else CHOICES
    return replace(AnswerFormat(kind=kind, choices=choices), **changes)


def question(rubric: Rubric, *, name: str = "q", weight: str = "1", **limits: Any) -> Question:
    return Question(
        id=an_id(name),
        prompt="Which one?",
        answer_format=answer_format(rubric.kind, **limits),
        rubric=rubric,
        weight=Decimal(weight),
        version="0" * 64,
    )


def item(rubric: Rubric, answer: Answer | None = None, *, name: str = "q", **changes: Any) -> Item:
    return Item(snapshot_id=an_id(name), question=question(rubric, name=name, **changes), answer=answer)


def rule_score(name: str, fraction: str | None, points: str = "1") -> RuleScore:
    share = None if fraction is None else Decimal(fraction)
    return RuleScore(
        snapshot_id=an_id(name),
        points=(share or Decimal(0)) * Decimal(points),
        max_points=Decimal(points),
        fraction=share,
        explanation="",
        rule="single_choice",
    )


def rating(key: str, level: str, points: int) -> CriterionRating:
    return CriterionRating(criterion=key, level=level, points=Decimal(points), rationale="It says so.")


def essay_score(*ratings: CriterionRating, name: str = "q", **changes: Any) -> EssayScore:
    points = sum((each.points for each in ratings), Decimal(0))
    valid = EssayScore(
        snapshot_id=an_id(name),
        points=points,
        max_points=Decimal(10),
        fraction=points / 10,
        ratings=ratings,
        feedback="Well done.",
        model="local-test",
        prompt_version="none",
        rubric_version="0" * 64,
        confidence=Decimal(1),
        needs_review=False,
    )
    return replace(valid, **changes)


def abstention(name: str = "q") -> EssayScore:
    return essay_score(name=name, points=None, fraction=None, confidence=Decimal(0), needs_review=True)
