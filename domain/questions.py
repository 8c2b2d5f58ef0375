"""Questions, the answers they take and the rubrics that judge them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias
from uuid import UUID

MAX_ESSAY_CHARS = 20_000


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
    """Pydantic, at the borders, refuses unknown fields and loose types."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoiceRubric(_Strict):
    """Partial credit: max(0, (right - penalty x wrong) / number correct), 0 <= penalty <= number correct."""

    kind: Literal[QuestionKind.MULTIPLE] = QuestionKind.MULTIPLE
    points: Decimal
    correct: tuple[str, ...]
    penalty: Decimal
    explanation: str
    skills: tuple[str, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRubric(_Strict):
    """A profile answer: evidence 0..1 per choice, neither right nor wrong."""

    kind: Literal[QuestionKind.SCALE] = QuestionKind.SCALE
    evidence: Mapping[str, Decimal]
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level(_Strict):
    name: str
    points: Decimal
    descriptor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion(_Strict):
    """One aspect of an essay; `levels` from lowest to highest, points strictly rising from 0."""

    key: str
    name: str
    description: str
    skills: tuple[str, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor(_Strict):
    """A labelled example answer: criterion key -> level name."""

    text: str
    levels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayRubric(_Strict):
    kind: Literal[QuestionKind.TEXT] = QuestionKind.TEXT
    criteria: tuple[Criterion, ...]
    anchors: tuple[Anchor, ...] = ()


RuleRubric: TypeAlias = SingleChoiceRubric | MultipleChoiceRubric | NumberRubric | ScaleRubric
Rubric: TypeAlias = RuleRubric | EssayRubric


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, or its snapshot in an assessment. `version` is the content hash of everything but ids."""

    id: UUID
    prompt: str
    answer_format: AnswerFormat
    rubric: Rubric
    weight: Decimal
    version: str

    @property
    def kind(self) -> QuestionKind:
        return self.answer_format.kind


Answer: TypeAlias = str | Decimal | tuple[str, ...]
"""A checked answer: one choice or a text, a number, or several choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A question as it stood when the assessment started, with the answer given to it, if any."""

    snapshot_id: UUID
    question: Question
    answer: Answer | None = field(default=None)
