"""Field types and base classes of request and response models: canonical ids, times with an offset, exact numbers."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from domain.text import is_blank

UUID_FORM: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Lower-case canonical form."""
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)


def _canonical(value: object) -> object:
    if isinstance(value, str):
        if not UUID_FORM.fullmatch(value):
            raise ValueError("must be a UUID in lower-case canonical form")
        return UUID(value)
    return value


def _moment(value: object) -> object:
    if isinstance(value, str):
        if not _MOMENT.fullmatch(value):
            raise ValueError("must be an RFC 3339 time with an offset")
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("is not a valid time") from None
    return value


_DIGITS: Final = re.compile(r"[0-9]{1,9}")


def _visible(value: str) -> str:
    if is_blank(value):
        raise ValueError("must not be blank")
    return value


VisibleText = Annotated[str, AfterValidator(_visible)]
"""A text with at least one visible character."""

Comment = Annotated[str | None, AfterValidator(lambda value: None if value is None or is_blank(value) else value)]
"""An optional text. A blank text becomes None."""


Id = Annotated[UUID, BeforeValidator(_canonical), WithJsonSchema({"type": "string", "format": "uuid"})]
"""A UUID in lower-case canonical form; no braces, no `urn:uuid:`, no upper case."""

Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An RFC 3339 time with an offset, converted to UTC."""

Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""An exact decimal in Python, a number in JSON."""


class KnownFields(BaseModel):
    """A model that rejects unknown fields with one error, before any other validation.

    Pydantic creates an error for each unknown field, which takes seconds for a body with 50,000 of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: object) -> object:
        if isinstance(data, dict) and not data.keys() <= cls.model_fields.keys():
            raise ValueError("has an unknown field")  # its name is not repeated, because it is input
        return data


class Input(KnownFields):
    """A request body: strict types and known fields only. Errors do not repeat the input."""

    model_config = ConfigDict(strict=True)


class QueryInput(KnownFields):
    """A query string: values are texts, and unknown fields are rejected."""


def digits(value: object) -> object:
    """Accept `25`, but not `25.0`, `+25` or digits of other scripts."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("must be a whole number")
    return value


def boolean(value: object) -> object:
    """Accept `true` and `false`, but not `yes`, `1` or `on`."""
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value


def absent() -> Any:  # noqa: ANN401  # for fields of any type
    """Return the default of an optional field of a change. It is never read, because absent fields do not change."""
    return None


class Output(BaseModel):
    """A response body. Fields without a value are omitted, unless `omits_none` is False."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    omits_none: ClassVar[bool] = True

    shown_once: ClassVar[frozenset[str]] = frozenset()
    """Fields with secrets. A replayed response omits them."""

    @classmethod
    def read(cls, source: object, **others: Any) -> Self:  # noqa: ANN401  # fields of any type
        """Fill the fields from the attributes of `source`, except those in `others`."""
        names = [name for name in cls.model_fields if name not in others and hasattr(source, name)]
        return cls.model_validate({name: getattr(source, name) for name in names} | others)
