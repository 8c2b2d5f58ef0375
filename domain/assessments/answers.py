"""Validate answers, convert them to JSON, and build the part of a rubric that students may see."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NoReturn, TypeAlias
from uuid import UUID

from domain.assessments.questions import (
    MAX_ESSAY_CHARS,
    Answer,
    AnswerFormat,
    Criterion,
    EssayRubric,
    Item,
    MultipleChoiceRubric,
    Question,
    QuestionKind,
    ScaleRubric,
)
from domain.decimals import plain, to_exact
from domain.errors import InvalidInput, Problem
from domain.text import is_blank

AnswerJson: TypeAlias = str | int | float | dict[str, list[str]]
"""An answer in the HTTP API: a string (a choice or a text), a number, or {"choices": [...]}."""

_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates: valid in JSON strings, invalid in a Postgres text column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedAnswer:
    """An answer as the client sent it: `raw` is a JSON value (None clears), `claimed_at` the client's clock."""

    question_id: UUID
    raw: object
    claimed_at: datetime | None = None


def check_answer(answer_format: AnswerFormat, raw: object) -> Answer | None:
    """Validate `raw`, a JSON value, against the answer format. Return None if it clears the answer.

    `None` clears an answer of any kind, and a blank text clears a text answer. Choices are returned in the question's
    order; an empty list of choices is an answer. Numbers are rounded to 15 significant digits, because clients that
    calculate with doubles send values such as 33.333333333333336. Word limits are not enforced.

    Raises:
        InvalidInput: the value does not match the format. The problem never repeats the input.
    """
    if raw is None:
        return None
    match answer_format.kind:
        case QuestionKind.SINGLE | QuestionKind.SCALE:
            return _choice(answer_format, raw)
        case QuestionKind.MULTIPLE:
            return _choices(answer_format, raw)
        case QuestionKind.NUMBER:
            return _number(answer_format, raw)
        case QuestionKind.TEXT:
            return _text(answer_format, raw)


def check_answers(items: Sequence[Item], submitted: Sequence[SubmittedAnswer]) -> dict[UUID, Answer | None]:
    """Return the answers by snapshot id, in the order submitted. None clears an answer.

    Raises:
        InvalidInput: an answer has an unknown or repeated question, or does not fit its question. All problems are
            listed.
    """
    asked = {item.question.id: item for item in items}
    answers: dict[UUID, Answer | None] = {}
    problems: list[Problem] = []

    def refuse(position: int, field: str, problem: str) -> None:
        question_id = str(submitted[position].question_id)
        problems.append(Problem(f"responses.{position}.{field}", problem, question_id=question_id))

    for position, sent in enumerate(submitted):
        item = asked.get(sent.question_id)
        if item is None:
            refuse(position, "question_id", "is not a question of this assessment")
        elif item.snapshot_id in answers:
            refuse(position, "question_id", "is answered twice")
        else:
            try:
                answers[item.snapshot_id] = check_answer(item.question.answer_format, sent.raw)
            except InvalidInput as error:
                for each in error.problems:
                    refuse(position, each.field, each.problem)
    if problems:
        raise InvalidInput("The request is not valid", tuple(problems))
    return answers


def answer_json(answer: Answer) -> AnswerJson:
    """Convert a checked answer to JSON. `check_answer` accepts the result and returns the same answer."""
    match answer:
        case Decimal():
            return int(answer) if answer == answer.to_integral_value() else float(answer)
        case tuple():
            return {"choices": list(answer)}
        case str():
            return answer


def answer_version(answer: Answer | None) -> str:
    """Return a text that differs between different answers, to detect a change by another tab. None: no answer."""
    if answer is None:
        return "none"
    stored = json.dumps(answer_json(answer), ensure_ascii=True)
    return hashlib.sha256(stored.encode()).hexdigest()[:32]


def public_rubric(question: Question) -> dict[str, object]:
    """Build the public part of the rubric: points, and criteria and levels for essays. It never includes the key."""
    match question.rubric:
        case EssayRubric() as rubric:
            criteria = [_public_criterion(criterion) for criterion in rubric.criteria]
            return {"kind": rubric.kind, "points": rubric.max_points, "criteria": criteria}
        case ScaleRubric() as rubric:
            return {"kind": rubric.kind}
        case MultipleChoiceRubric() as rubric:
            return {"kind": rubric.kind, "points": rubric.points, "penalty": rubric.penalty}
        case rubric:
            return {"kind": rubric.kind, "points": rubric.points}


def _public_criterion(criterion: Criterion) -> dict[str, object]:
    levels = [
        {"name": level.name, "points": level.points, "descriptor": level.descriptor} for level in criterion.levels
    ]
    return {"key": criterion.key, "name": criterion.name, "description": criterion.description, "levels": levels}


def _choice(answer_format: AnswerFormat, raw: object) -> str:
    if not isinstance(raw, str):
        _refuse("must be a string, one of the choices")
    if raw not in answer_format.choices:
        _refuse("must be one of the choices")
    return raw


def _choices(answer_format: AnswerFormat, raw: object) -> tuple[str, ...]:
    match raw:
        case {"choices": list() as chosen, **others} if not others:
            pass
        case _:
            _refuse('must be an object {"choices": [...]}')
    if any(choice not in answer_format.choices for choice in chosen):
        _refuse("must contain only choices that the question offers")
    if len(set(chosen)) != len(chosen):
        _refuse("must not contain a choice twice")
    return tuple(choice for choice in answer_format.choices if choice in chosen)


def _number(answer_format: AnswerFormat, raw: object) -> Decimal:
    number = to_exact(_decimal(raw))
    if number is None:
        _refuse("must be a number between -1e15 and 1e15")
    if not answer_format.admits(number):
        low, high = answer_format.minimum, answer_format.maximum
        limits = [f"at least {plain(low)}"] if low is not None else []
        limits += [f"at most {plain(high)}"] if high is not None else []
        _refuse(f"must be {' and '.join(limits)}")
    return number


def _decimal(raw: object) -> Decimal:
    """Convert a number exactly. A float is read as its shortest text, so 0.1 becomes one tenth."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        _refuse("must be a number")
    return Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)


def _text(answer_format: AnswerFormat, raw: object) -> str | None:
    if not isinstance(raw, str):
        _refuse("must be a string")
    limit = MAX_ESSAY_CHARS if answer_format.max_chars is None else answer_format.max_chars
    if len(raw) > limit:
        _refuse(f"must have at most {limit} characters")
    if _NOT_STORABLE.search(raw):
        _refuse("must not contain NUL characters or lone surrogates")
    return None if is_blank(raw) else raw


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("The answer does not match the question's format", (Problem("answer", problem),))
