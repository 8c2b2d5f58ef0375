"""Questions, the answers they take and the rubrics that judge them."""

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
    """The three types of the public contract."""

    MULTIPLE_CHOICE = "multiple_choice"
    ESSAY = "essay"
    PROFILE = "profile"


class QuestionKind(StrEnum):
    """What an answer looks like, and with it which rule judges it."""

    SINGLE = "single"
    MULTIPLE = "multiple"
    NUMBER = "number"
    SCALE = "scale"
    TEXT = "text"

    @property
    def question_type(self) -> QuestionType:
        """`essay` for texts, `profile` for scales, `multiple_choice` for everything with a key."""
        match self:
            case QuestionKind.TEXT:
                return QuestionType.ESSAY
            case QuestionKind.SCALE:
                return QuestionType.PROFILE
            case _:
                return QuestionType.MULTIPLE_CHOICE


class _Strict:
    """Pydantic, at the borders, refuses unknown fields; how strict it is with types is the border's choice."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleChoiceRubric(_Strict):
    """All points for the one correct choice, none otherwise."""

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
    """Partial credit: max(0, (right - penalty x wrong) / number correct), 0 <= penalty <= number correct."""

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
    """All points within the tolerance; `relative` is a share of the value's magnitude (0.02 = 2 %)."""

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
            raise ValueError("tolerance_kind: no share of 0 is a tolerance, use absolute")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRubric(_Strict):
    """A profile answer: evidence 0..1 per choice, neither right nor wrong."""

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
    """One aspect of an essay; `levels` from lowest to highest, points strictly rising from 0."""

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
    """A labelled example answer: criterion key -> level name."""

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
            raise ValueError(f"criteria: must be worth at most {MAX_POINTS} points together")
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
    """What every rubric with a right answer must have."""
    check_positive("points", rubric.points, MAX_POINTS)
    check_text("explanation", rubric.explanation)
    check_names("skills", rubric.skills)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat(_Strict):
    """What may be answered; only the fields of its kind are set."""

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
        """Whether the number is within `minimum`..`maximum`, where they are set."""
        above = self.minimum is None or number >= self.minimum
        return above and (self.maximum is None or number <= self.maximum)

    def _check_fields(self) -> None:
        for declared in fields(self):
            name = declared.name
            if name != "kind" and name not in _FIELDS[self.kind] and getattr(self, name) != declared.default:
                raise ValueError(f"{name}: is not for kind {self.kind}")


_FIELDS: Final = {
    QuestionKind.SINGLE: {"choices"},
    QuestionKind.MULTIPLE: {"choices"},
    QuestionKind.NUMBER: {"minimum", "maximum", "unit"},
    QuestionKind.SCALE: {"choices"},
    QuestionKind.TEXT: {"min_words", "max_words", "max_chars"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, or its snapshot in an assessment. `version` is the content hash of everything but ids."""

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
    """What counts as right can be answered; every choice of a scale has its evidence."""
    match rubric:
        case SingleChoiceRubric(correct=correct) if correct not in offered.choices:
            raise ValueError("rubric.correct: must be one of the choices")
        case MultipleChoiceRubric(correct=correct) if not set(correct) <= set(offered.choices):
            raise ValueError("rubric.correct: must be among the choices")
        case ScaleRubric(evidence=evidence) if evidence.keys() != set(offered.choices):
            raise ValueError("rubric.evidence: must have exactly the choices")
        case NumberRubric(value=value) if not offered.admits(value):
            raise ValueError("rubric.value: must be within minimum and maximum")
        case _:
            pass


Answer: TypeAlias = str | Decimal | tuple[str, ...]
"""A checked answer: one choice or a text, a number, or several choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A question as it stood when the assessment started, with the answer given to it, if any."""

    snapshot_id: UUID
    question: Question
    answer: Answer | None = field(default=None)
