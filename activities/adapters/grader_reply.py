"""What a chat completion says. Nothing here raises: a model, or whatever answers in its place, may send anything."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from domain.essay_text import readable
from domain.grading import GivenRating, Grading, Reply, Unreadable

MOST_CHARS: Final = 2_000
"""Of a rationale, a quote or the feedback; the rest is cut off."""
MOST_QUOTES: Final = 10
MOST_TOKENS: Final = 10_000_000
"""No call takes more: a larger figure is none."""

Json: TypeAlias = dict[str, Any]


def _cleaned(value: object) -> object:
    """Before pydantic sees it, which refuses lone surrogates."""
    return readable(value[:MOST_CHARS]).strip() if isinstance(value, str) else value


def _listed(value: object) -> list[str]:
    """The texts of a list, or a text alone; anything else is no text that addresses the grader."""
    texts = value if isinstance(value, list) else [value]
    return [text for text in texts if isinstance(text, str)]


Text = Annotated[str, BeforeValidator(_cleaned)]


class _Rating(BaseModel):
    model_config = ConfigDict(strict=True)

    rationale: Text
    quotes: list[Text]
    level: Text


class _Content(BaseModel):
    model_config = ConfigDict(strict=True)

    criteria: dict[Text, _Rating]
    addresses_grader: Annotated[list[Text], BeforeValidator(_listed)] = []
    answers_the_question: bool = True
    feedback: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens; `cached` ones are part of `prompt`. None where the reply does not tell."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None


class _NotReadable(ValueError):
    """Its text is a problem of `Unreadable`: a constant, never a part of the reply."""


def read_reply(raw: bytes) -> Reply:
    """The grading in a chat completion, or what is wrong with it. Texts are cleaned and cut."""
    try:
        return _grading(_content(_json(raw)))
    except _NotReadable as error:
        return Unreadable(problem=str(error))


def is_reply(raw: bytes) -> bool:
    """Whether it comes from a model at all, however broken: an object with choices or usage, or one that was cut."""
    if not raw.lstrip().startswith(b"{"):
        return False
    try:
        envelope = _json(raw)
    except _NotReadable:
        return True
    return isinstance(envelope, dict) and not {"choices", "usage"}.isdisjoint(envelope)


def read_usage(raw: bytes) -> Usage:
    try:
        usage = _member(_json(raw), "usage")
    except _NotReadable:
        return Usage()
    return Usage(
        prompt=_tokens(usage, "prompt_tokens"),
        cached=_tokens(_member(usage, "prompt_tokens_details"), "cached_tokens"),
        completion=_tokens(usage, "completion_tokens"),
    )


def _content(envelope: Any) -> str:  # noqa: ANN401 - whatever JSON there is
    choices = envelope.get("choices") if isinstance(envelope, dict) else None
    if not isinstance(choices, list) or not choices:
        raise _NotReadable("holds no answer")
    message = _member(choices[0], "message")
    reason = choices[0].get("finish_reason") if isinstance(choices[0], dict) else None
    if reason == "content_filter":
        raise _NotReadable("was withheld by the provider's content filter")
    if reason == "length":
        raise _NotReadable("is too long and was cut off")
    if message.get("refusal"):
        raise _NotReadable("is a refusal to grade")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise _NotReadable("is empty")
    return content


def _grading(content: str) -> Grading:
    """Models without a schema like to put marks or remarks around the object."""
    parsed = _json(
        content[content.find("{") : content.rfind("}") + 1], parse_constant=_no_number, object_pairs_hook=_unique
    )
    try:
        read = _Content.model_validate(parsed)
    except ValidationError:
        raise _NotReadable("has not the form asked for") from None
    return Grading(
        on_topic=read.answers_the_question,
        ratings=tuple(
            GivenRating(
                criterion=key,
                level=rating.level,
                rationale=rating.rationale,
                quotes=_quotes(rating.quotes),
            )
            for key, rating in read.criteria.items()
        ),
        feedback=read.feedback,
        addresses_grader=_quotes(read.addresses_grader),
    )


def _quotes(quotes: list[str]) -> tuple[str, ...]:
    return tuple(quote for quote in quotes[:MOST_QUOTES] if quote)


def _json(text: str | bytes, **hooks: Any) -> Any:  # noqa: ANN401 - whatever JSON there is
    try:
        return json.loads(text, **hooks)
    except _NotReadable:
        raise
    except (ValueError, RecursionError):
        raise _NotReadable("is no JSON") from None


def _no_number(_: str) -> NoReturn:
    raise _NotReadable("holds a number that is none")


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotReadable("names something twice")
    return members


def _member(parent: Any, name: str) -> Json:  # noqa: ANN401 - whatever JSON there is
    """An object within an object; an empty one where there is none."""
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def _tokens(usage: Json, name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None
