"""Questions, their answer formats and their rubrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, Final, Literal, TypeAlias
from uuid import UUID

from domain.validation import (
    MAX_POINTS,
    check_names,
    check_number,
    check_places,
    check_positive,
    check_range,
    check_text,
)

MAX_ESSAY_CHARS = 20_000
MAX_WEIGHT: Final = Decimal("999.99")


class QuestionType(StrEnum):
    """The three question types of the HTTP API."""

    MULTIPLE_CHOICE = "multiple_choice"
    ESSAY = "essay"
    PROFILE = "profile"


class QuestionKind(StrEnum):
    """The form of an answer. It determines the rule that scores the answer."""

    SINGLE = "single"
    MULTIPLE = "multiple"
    NUMBER = "number"
    SCALE = "scale"
    TEXT = "text"

    @property
    def question_type(self) -> QuestionType:
        """Return `essay` for texts, `profile` for scales and `multiple_choice` for kinds with a right answer."""
        match self:
            case QuestionKind.TEXT:
                return QuestionType.ESSAY
            case QuestionKind.SCALE:
                return QuestionType.PROFILE
            case _:
                return QuestionType.MULTIPLE_CHOICE


class _Strict:
    """Pydantic configuration that rejects unknown fields. The caller chooses how strictly types are checked."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleChoiceRubric(_Strict):
    """A rubric that gives all points for the correct choice and 0 for any other."""

    kind: Literal[QuestionKind.SINGLE] = QuestionKind.SINGLE
    points: Decimal
    correct: str
    explanation: str
    skills: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_keyed(self)
        check_text("correct", self.correct)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoiceRubric(_Strict):
    """A rubric with partial credit: max(0, (right - penalty x wrong) / number correct).

    `penalty` is from 0 to the number of correct choices.
    """

    kind: Literal[QuestionKind.MULTIPLE] = QuestionKind.MULTIPLE
    points: Decimal
    correct: tuple[str, ...]
    penalty: Decimal
    explanation: str
    skills: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_keyed(self)
        check_names("correct", self.correct)
        check_range("penalty", self.penalty, 0, len(self.correct))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRubric(_Strict):
    """A rubric that gives all points within the tolerance. `relative`: a share of the value's size (0.02 = 2 %)."""

    kind: Literal[QuestionKind.NUMBER] = QuestionKind.NUMBER
    points: Decimal
    value: Decimal
    tolerance: Decimal
    tolerance_kind: Literal["absolute", "relative"]
    explanation: str
    skills: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_keyed(self)
        check_number("value", self.value)
        check_number("tolerance", self.tolerance)
        if self.tolerance < 0:
            raise ValueError("tolerance: must not be negative")
        if self.tolerance_kind == "relative" and self.value == 0:
            raise ValueError("tolerance_kind: must be absolute because the value is 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRubric(_Strict):
    """A rubric of a profile question: each choice is evidence from 0 to 1. No choice is right or wrong."""

    kind: Literal[QuestionKind.SCALE] = QuestionKind.SCALE
    evidence: Mapping[str, Decimal]
    skills: tuple[str, ...]

    def __post_init__(self) -> None:
        check_names("skills", self.skills)
        check_names("evidence", self.evidence, at_least=2)
        for choice, evidence in self.evidence.items():
            check_range(f"evidence.{choice}", evidence, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level(_Strict):
    name: str
    points: Decimal
    descriptor: str

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_range("points", self.points, 0, MAX_POINTS)
        check_places("points", self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion(_Strict):
    """One aspect of an essay. `levels` go from lowest to highest; their points rise strictly from 0."""

    key: str
    name: str
    description: str
    skills: tuple[str, ...]
    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        check_text("key", self.key)
        check_names("skills", self.skills)
        check_names("levels", (level.name for level in self.levels), at_least=2)
        points = [level.points for level in self.levels]
        if points[0] != 0 or any(lower >= higher for lower, higher in pairwise(points)):
            raise ValueError("levels: points must rise strictly from 0")

    @property
    def max_points(self) -> Decimal:
        return self.levels[-1].points


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor(_Strict):
    """A labelled example answer. `levels` maps criterion keys to level names."""

    text: str
    levels: Mapping[str, str]

    def __post_init__(self) -> None:
        check_text("text", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayRubric(_Strict):
    kind: Literal[QuestionKind.TEXT] = QuestionKind.TEXT
    criteria: tuple[Criterion, ...]
    anchors: tuple[Anchor, ...] = ()

    def __post_init__(self) -> None:
        check_names("criteria", (criterion.key for criterion in self.criteria))
        if self.max_points > MAX_POINTS:
            raise ValueError(f"criteria: must be worth at most {MAX_POINTS} points in total")
        levels = {criterion.key: {level.name for level in criterion.levels} for criterion in self.criteria}
        for place, anchor in enumerate(self.anchors):
            if anchor.levels.keys() != levels.keys():
                raise ValueError(f"anchors.{place}.levels: must name every criterion and no other")
            for key, level in anchor.levels.items():
                if level not in levels[key]:
                    raise ValueError(f"anchors.{place}.levels.{key}: must be a level of the criterion")

    @property
    def max_points(self) -> Decimal:
        return sum((criterion.max_points for criterion in self.criteria), Decimal(0))


RuleRubric: TypeAlias = SingleChoiceRubric | MultipleChoiceRubric | NumberRubric | ScaleRubric
Rubric: TypeAlias = RuleRubric | EssayRubric


def _check_keyed(rubric: SingleChoiceRubric | MultipleChoiceRubric | NumberRubric) -> None:
    """Check the fields that every rubric with a right answer has."""
    check_positive("points", rubric.points, MAX_POINTS)
    check_text("explanation", rubric.explanation)
    check_names("skills", rubric.skills)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat(_Strict):
    """The values that an answer may have. Only the fields of its kind are set."""

    kind: QuestionKind
    choices: tuple[str, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    unit: str | None = None
    min_words: int | None = None
    max_words: int | None = None
    max_chars: int | None = None

    def __post_init__(self) -> None:
        self._check_fields()
        if "choices" in _FIELDS[self.kind]:
            check_names("choices", self.choices, at_least=2)
        for name, limit in (("minimum", self.minimum), ("maximum", self.maximum)):
            if limit is not None:
                check_number(name, limit)
        for name in ("min_words", "max_words", "max_chars"):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= MAX_ESSAY_CHARS:
                raise ValueError(f"{name}: must be between 1 and {MAX_ESSAY_CHARS}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum: must not be above maximum")
        if self.min_words is not None and self.max_words is not None and self.min_words > self.max_words:
            raise ValueError("min_words: must not be above max_words")

    def admits(self, number: Decimal) -> bool:
        """Return whether the number is within `minimum` and `maximum`. None sets no limit."""
        above = self.minimum is None or number >= self.minimum
        return above and (self.maximum is None or number <= self.maximum)

    def _check_fields(self) -> None:
        for declared in fields(self):
            name = declared.name
            if name != "kind" and name not in _FIELDS[self.kind] and getattr(self, name) != declared.default:
                raise ValueError(f"{name}: is not allowed for kind {self.kind}")


_FIELDS: Final = {
    QuestionKind.SINGLE: {"choices"},
    QuestionKind.MULTIPLE: {"choices"},
    QuestionKind.NUMBER: {"minimum", "maximum", "unit"},
    QuestionKind.SCALE: {"choices"},
    QuestionKind.TEXT: {"min_words", "max_words", "max_chars"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, or its snapshot in an assessment. `version` is the content hash of all fields except ids."""

    id: UUID
    prompt: str
    answer_format: AnswerFormat
    rubric: Rubric
    weight: Decimal
    version: str

    def __post_init__(self) -> None:
        check_text("prompt", self.prompt)
        check_positive("weight", self.weight, MAX_WEIGHT, places=2)
        if self.rubric.kind is not self.kind:
            raise ValueError(f"rubric.kind: must be {self.kind}")
        _check_key(self.rubric, self.answer_format)

    @property
    def kind(self) -> QuestionKind:
        return self.answer_format.kind


def _check_key(rubric: Rubric, offered: AnswerFormat) -> None:
    """Check that the format allows the right answer, and that each choice of a scale has evidence."""
    match rubric:
        case SingleChoiceRubric(correct=correct) if correct not in offered.choices:
            raise ValueError("rubric.correct: must be one of the choices")
        case MultipleChoiceRubric(correct=correct) if not set(correct) <= set(offered.choices):
            raise ValueError("rubric.correct: must be among the choices")
        case ScaleRubric(evidence=evidence) if evidence.keys() != set(offered.choices):
            raise ValueError("rubric.evidence: must have one entry for each choice and no other")
        case NumberRubric(value=value) if not offered.admits(value):
            raise ValueError("rubric.value: must be within minimum and maximum")
        case _:
            pass


Answer: TypeAlias = str | Decimal | tuple[str, ...]
"""A checked answer: one choice or a text, a number, or several choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A snapshot of a question at the start of the assessment, with its answer. None: not answered."""

    snapshot_id: UUID
    question: Question
    answer: Answer | None = field(default=None)
