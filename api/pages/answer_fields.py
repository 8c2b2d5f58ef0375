"""Convert the fields of a question's form to the JSON value of the answer, and back."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from api.pages.texts import exact, gettext
from domain.assessments.questions import Answer, AnswerFormat, QuestionKind
from domain.errors import InvalidInput, Problem

ANSWER: Final = "answer"
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,15}([.,][0-9]{1,15})?")
_SPACES: Final = re.compile(r"[\s\u00a0\u202f]")


def raw_answer(answer_format: AnswerFormat, form: Mapping[str, str]) -> object:
    """Return the answer of a form as the API receives it; None if the question is not answered.

    Raises:
        InvalidInput: a number is not written as one.
    """
    value = form.get(ANSWER, "")
    match answer_format.kind:
        case QuestionKind.MULTIPLE:
            chosen = chosen_options(answer_format, form)
            return {"choices": list(chosen)} if chosen else None
        case QuestionKind.NUMBER:
            return _number(value)
        case QuestionKind.TEXT:
            return value.replace("\r\n", "\n") or None
        case _:
            return value or None


def chosen_options(answer_format: AnswerFormat, form: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options of a question with several choices that are checked in its form."""
    return tuple(choice for place, choice in enumerate(answer_format.choices) if f"choice.{place}" in form)


def _number(text: str) -> Decimal | None:
    """Read a number with a decimal point or a decimal comma. Spaces may group digits; other separators may not."""
    compact = _SPACES.sub("", text).replace("\u2212", "-")
    if not compact:
        return None
    if not _NUMBER.fullmatch(compact):
        problem = gettext("must be a number such as 12.5 or 12,5, without thousands separators")
        raise InvalidInput("The answer is not a number", (Problem(ANSWER, problem),))
    return Decimal(compact.replace(",", "."))


def field_value(answer: Answer | None) -> str:
    """Return the value of the text or number field for a stored answer, or the chosen option."""
    match answer:
        case None | tuple():
            return ""
        case Decimal():
            return exact(answer)
        case _:
            return answer


def shown_answer(answer: object) -> str:
    """Return a stored answer, in the form of the API, as a text to read; several choices are on several lines."""
    match answer:
        case None:
            return ""
        case {"choices": choices}:
            return "\n".join(str(choice) for choice in choices)
        case float():
            return exact(Decimal(repr(answer)))
        case _:
            return str(answer)
