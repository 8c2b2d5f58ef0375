"""Domain values as JSON and back. Decimals travel as their text, so nothing is rounded on the way."""

from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from domain.assessments.questions import Answer, QuestionKind
from domain.errors import CorruptData
from persistence.tables.base import Json

Value = TypeVar("Value")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  # any type, parametrised ones too
    return TypeAdapter(kind)


def encode(value: object) -> Json:
    """What JSON can hold of a domain dataclass."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def decode(kind: type[Value], stored: Json) -> Value:
    """The value that `encode` was given.

    Raises:
        CorruptData: it is none of that kind; the message does not quote it, because it may be an answer.
    """
    try:
        adapter = _adapter(cast(Any, kind))
        return cast(Value, adapter.validate_python(stored))
    except ValidationError as error:
        places = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)})
        where = f" at {', '.join(places)}" if any(places) else ""  # a plain value has no places
        raise CorruptData(f"A stored {kind.__name__} is not valid{where}") from None


def encode_answer(answer: Answer) -> Json:
    """A string, a list of strings, or a number as its text; the question's kind tells them apart."""
    match answer:
        case Decimal():
            return str(answer)
        case tuple():
            return list(answer)
        case _:
            return answer


def decode_answer(kind: QuestionKind, stored: Json) -> Answer:
    match kind:
        case QuestionKind.NUMBER:
            return decode(Decimal, stored)
        case QuestionKind.MULTIPLE:
            return decode(tuple[str, ...], stored)
        case _:
            return decode(str, stored)
