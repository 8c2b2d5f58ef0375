"""Answers as they go over the wire, and what a student may see of how they are judged."""

import re
from decimal import Decimal
from typing import Final, NoReturn, TypeAlias

from domain.errors import InvalidInput, Problem
from domain.exact import MAX_DIGITS, canonical, is_exact, plain
from domain.questions import (
    MAX_ESSAY_CHARS,
    Answer,
    AnswerFormat,
    Criterion,
    EssayRubric,
    MultipleChoiceRubric,
    Question,
    QuestionKind,
    ScaleRubric,
)

AnswerJson: TypeAlias = str | int | float | dict[str, list[str]]
"""An answer on the wire: a choice or a text, a number, or {"choices": [...]}."""

_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates, which JSON can carry and a database text cannot."""


def check_answer(answer_format: AnswerFormat, raw: object) -> Answer:
    """The answer in `raw`, a JSON value, if it is what the question asks for.

    Several choices come back in the question's order; none of them is an answer too. Word limits are guidance.

    Raises:
        InvalidInput: it is not; the problem never repeats the input.
    """
    match answer_format.kind:
        case QuestionKind.SINGLE | QuestionKind.SCALE:
            return _choice(answer_format, raw)
        case QuestionKind.MULTIPLE:
            return _choices(answer_format, raw)
        case QuestionKind.NUMBER:
            return _number(answer_format, raw)
        case QuestionKind.TEXT:
            return _text(answer_format, raw)


def answer_json(answer: Answer) -> AnswerJson:
    """A checked answer in the shape in which it was sent; `check_answer` takes it back unchanged."""
    match answer:
        case Decimal():
            return int(answer) if answer == answer.to_integral_value() else float(answer)
        case tuple():
            return {"choices": list(answer)}
        case str():
            return answer


def public_rubric(question: Question) -> dict[str, object]:
    """How the answer will be judged: points, and for essays criteria and levels, but nothing that gives it away."""
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
        _refuse("must hold only choices that are offered")
    if len(set(chosen)) != len(chosen):
        _refuse("must not hold a choice twice")
    return tuple(choice for choice in answer_format.choices if choice in chosen)


def _number(answer_format: AnswerFormat, raw: object) -> Decimal:
    number = _decimal(raw)
    if not is_exact(number):
        _refuse(f"must be a finite number of at most {MAX_DIGITS} digits")
    if not answer_format.admits(number):
        low, high = answer_format.minimum, answer_format.maximum
        limits = [f"at least {plain(low)}"] if low is not None else []
        limits += [f"at most {plain(high)}"] if high is not None else []
        _refuse(f"must be {' and '.join(limits)}")
    return canonical(number)


def _decimal(raw: object) -> Decimal:
    """Floats count as their shortest text: 0.1 is a tenth."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        _refuse("must be a number")
    return Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)


def _text(answer_format: AnswerFormat, raw: object) -> str:
    if not isinstance(raw, str):
        _refuse("must be a string")
    if not raw.strip():
        _refuse("must not be empty")
    limit = MAX_ESSAY_CHARS if answer_format.max_chars is None else answer_format.max_chars
    if len(raw) > limit:
        _refuse(f"must have at most {limit} characters")
    if _NOT_STORABLE.search(raw):
        _refuse("must not hold NUL characters or lone surrogates")
    return raw


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("The answer is not what the question asks for", (Problem("answer", problem),))
