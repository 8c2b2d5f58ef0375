"""Convert domain values to JSON and back. Decimals are stored as text, so that nothing is rounded."""

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
    """Convert a domain dataclass to JSON values."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def decode(kind: type[Value], stored: Json) -> Value:
    """Convert the result of `encode` back.

    Raises:
        CorruptData: the value is not of that type. The message does not quote it, because it may be an answer.
    """
    try:
        adapter = _adapter(cast(Any, kind))
        return cast(Value, adapter.validate_python(stored))
    except ValidationError as error:
        places = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)})
        where = f" at {', '.join(places)}" if any(places) else ""  # a plain value has no locations
        raise CorruptData(f"A stored {kind.__name__} is not valid{where}") from None


def encode_answer(answer: Answer) -> Json:
    """Convert an answer to a string, a list of strings, or a number as text. The question's kind tells which."""
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
