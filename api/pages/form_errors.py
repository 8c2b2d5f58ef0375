"""Check forms and filters with the schemas of the API, and name the problems of their fields."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.pages.problem_texts import translated
from api.pages.texts import gettext
from domain.errors import Conflict, Forbidden, InvalidInput

FieldErrors: TypeAlias = list[tuple[str, str]]
"""Pairs of a field and its problem, as the macros `error_summary` and `field` take them."""

FORM: Final = "form"
"""The field of a problem that concerns the form as a whole: the id of its element."""
REFUSALS: Final = (ValidationError, InvalidInput, Conflict, Forbidden)
"""What a page shows in the form that was sent."""

Model = TypeVar("Model", bound=BaseModel)


def field_errors(error: Exception, labels: Mapping[str, str]) -> FieldErrors:
    """Return the problems of a refused form. `labels` maps fields to their names on the page."""
    if isinstance(error, ValidationError):
        found = [
            (next((part for part in reversed(each["loc"]) if isinstance(part, str)), FORM), each["msg"])
            for each in error.errors(include_url=False, include_input=False)
        ]
    elif isinstance(error, InvalidInput) and error.problems:
        found = [(each.field.rpartition(".")[2], each.problem) for each in error.problems]
    else:
        return [(FORM, translated(str(getattr(error, "message", error))))]
    return [_named(field, problem.removeprefix("Value error, "), labels) for field, problem in found]


def table_errors(error: Exception) -> FieldErrors:
    """Return the problems of a refused file with the numbers of their rows."""
    named = [
        ("file", f"{gettext('Row')} {each.row}: {each.field} {text}" if each.row else text)
        for each in getattr(error, "problems", ())
        for text in [translated(each.problem)]
    ]
    return named or [("file", translated(str(getattr(error, "message", error))))]


def whole_number(text: str) -> int | str:
    """Convert the digits of a form; return any other text unchanged, for the schema to refuse."""
    text = text.strip()
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else text


def decimal_number(text: str) -> Decimal | str:
    """Convert a decimal of a form, with a comma or a point; return any other text unchanged."""
    text = text.strip()
    return Decimal(text.replace(",", ".")) if re.fullmatch("[0-9]{1,9}([.,][0-9]{1,9})?", text) else text


def query_of(request: Request, model: type[Model], labels: Mapping[str, str]) -> tuple[Model, FieldErrors]:
    """Read the filters of a list from the query. Empty and unknown ones do not count; a wrong one leaves all out."""
    given = {
        name: value.strip()
        for name, value in request.query_params.items()
        if value.strip() and name in model.model_fields
    }
    try:
        return model.model_validate(given), []
    except ValidationError as error:
        return model(), field_errors(error, labels)


def parameters(query: BaseModel) -> dict[str, Any]:
    """Return the filters of a list for links to its other pages."""
    return query.model_dump(mode="json", exclude_defaults=True, exclude={"cursor", "limit"})


def _named(field: str, problem: str, labels: Mapping[str, str]) -> tuple[str, str]:
    text = translated(problem)
    return (field, f"{labels[field]}: {text}") if field in labels else (FORM, f"{field}: {text}")
