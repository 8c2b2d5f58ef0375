"""Read a chat completion. Any bytes are accepted, because a model or a gateway may send anything."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from activities.adapters.openai.grader_prompt import MARKER_BYTES
from activities.adapters.openai.reply_json import Json, NotReadable, objects, parse
from domain.grading.essay_text import sanitize
from domain.grading.model_grading import Grading, RawRating, Reply, Unreadable

MOST_CHARS: Final = 2_000
"""The length limit of a rationale, a quote and the feedback; the rest is cut off."""
MOST_QUOTES: Final = 10
MOST_TOKENS: Final = 10_000_000
"""The largest plausible number of tokens; a larger one is ignored."""

_TEXTS: Final = ("content", "reasoning_content", "reasoning")
"""The members of a message that may contain the answer. Some servers put it into the reasoning."""
_FILTERED: Final = {
    *("safety", "recitation", "blocklist", "prohibited_content", "spii"),  # Gemini
    *("refusal", "guardrail_intervened"),
}
"""Finish reasons that mean `content_filter`."""
_CUT_OFF: Final = {"length", "max_tokens", "model_length"}
_MARKER: Final = re.compile(
    rf"(?:(?<!-)-+ ?)?\b[0-9a-f]{{{2 * MARKER_BYTES}}}\b(?: (?:answer|example \d+) (?:begins|ends))?(?: ?-+)?",
    re.IGNORECASE,
)


def _cleaned(value: object) -> object:
    """Sanitize a text before pydantic validates it, because pydantic rejects lone surrogates."""
    return sanitize(value[:MOST_CHARS]).strip() if isinstance(value, str) else value


def _unmarked(text: str) -> str:
    """Remove the marker around the texts in the prompt, because a student who knows it could forge its end."""
    return _MARKER.sub("", text).strip()


def _listed(value: object) -> list[str]:
    """Return the texts of a list, or a single text as a list; ignore other values."""
    texts = value if isinstance(value, list) else [value]
    return [text for text in texts if isinstance(text, str)]


Text = Annotated[str, BeforeValidator(_cleaned)]
Remark = Annotated[Text, AfterValidator(_unmarked)]
"""A text that a student reads."""


class _Rating(BaseModel):
    model_config = ConfigDict(strict=True)

    rationale: Remark
    quotes: list[Text]
    level: Text


class _Content(BaseModel):
    model_config = ConfigDict(strict=True)

    criteria: dict[Text, _Rating]
    addresses_grader: Annotated[list[Text], BeforeValidator(_listed)] = []
    answers_the_question: bool = True
    feedback: Remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens of a call; None if the reply does not contain the number.

    `cached` tokens are part of `prompt`. `completion` includes reasoning tokens, which cost the same.
    """

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None


class Withheld(NotReadable):
    """The provider or the model refuses to grade this essay, so a retry would not help."""


def read_reply(raw: bytes) -> Reply:
    """Return the grading in a chat completion, or why it cannot be read. Texts are sanitized and cut."""
    try:
        return _grading(parse(raw))
    except NotReadable as error:
        return Unreadable(problem=str(error), withheld=isinstance(error, Withheld))


def is_reply(raw: bytes) -> bool:
    """Whether the bytes are a model's reply, even a broken one: an object with choices or usage, or a cut object.

    A router's report that the provider failed before it wrote anything is not a reply.
    """
    if not raw.lstrip().startswith(b"{"):
        return False
    try:
        envelope = parse(raw)
    except NotReadable:
        return True
    match envelope:
        case {"choices": [{"error": {}}, *_]}:
            return bool(read_usage(raw).completion)
        case dict():
            return not {"choices", "usage"}.isdisjoint(envelope)
    return False


def read_usage(raw: bytes) -> Usage:
    try:
        usage = _member(parse(raw), "usage")
    except NotReadable:
        return Usage()
    return Usage(
        prompt=_tokens(usage, "prompt_tokens"),
        cached=_tokens(_member(usage, "prompt_tokens_details"), "cached_tokens"),
        completion=_completion(usage),
    )


def _completion(usage: Json) -> int | None:
    """Return all tokens at the price of a completion; None if they cannot be determined.

    Some providers include reasoning tokens in `completion_tokens`, others do not. The total shows which; without a
    total this is unknown.
    """
    prompt, completion, total = (_tokens(usage, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    thoughts = _tokens(_member(usage, "completion_tokens_details"), "reasoning_tokens") or 0
    if prompt is None or completion is None:
        return completion
    if total is None and 0 < thoughts <= completion:
        return None
    written = completion if total is None else max(completion, total - prompt)
    return written if thoughts <= written else written + thoughts


def _grading(envelope: Any) -> Grading:  # noqa: ANN401 - whatever JSON there is
    """Return the only grading in the reply.

    Several different gradings are an error, because the essay may have dictated one of them.
    """
    found: dict[Grading, None] = {}
    problem = NotReadable("is not JSON")
    for each in objects(_text(envelope), _Content.model_fields):
        try:
            found[_validated(each)] = None
        except NotReadable as error:
            problem = error
    if len(found) > 1:
        raise NotReadable("has more than one grading")
    for grading in found:
        return grading
    raise problem


def _text(envelope: Any) -> str:  # noqa: ANN401 - whatever JSON there is
    """Return the model's text: its content, or its reasoning if only that contains an object."""
    choices = envelope.get("choices") if isinstance(envelope, dict) else None
    if not isinstance(choices, list) or not choices:
        raise NotReadable("has no answer")
    message = _member(choices[0], "message")
    reason = str(choices[0].get("finish_reason") if isinstance(choices[0], dict) else "").lower()
    if reason.startswith("content_filter") or reason in _FILTERED:
        raise Withheld("was withheld by the provider's content filter")
    if reason in _CUT_OFF:
        raise NotReadable("is too long and was cut off")
    if message.get("refusal"):
        raise Withheld("is a refusal to grade")
    texts = [text for name in _TEXTS if (text := _joined(message.get(name))).strip()]
    if not texts:
        raise NotReadable("is empty")
    return next((text for text in texts if "{" in text), texts[0])


def _joined(content: object) -> str:
    """Return the text of a message's content, which may be a list of parts; reasoning parts have no text."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "".join(part for part in parts if isinstance(part, str))


def _validated(parsed: Json | NotReadable) -> Grading:
    if isinstance(parsed, NotReadable):
        raise parsed
    try:
        read = _Content.model_validate(parsed)
    except ValidationError:
        raise NotReadable("does not have the requested form") from None
    return Grading(
        on_topic=read.answers_the_question,
        ratings=tuple(
            RawRating(
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


def _member(parent: Any, name: str) -> Json:  # noqa: ANN401 - whatever JSON there is
    """Return the object `name` of a parent object, or an empty one."""
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def _tokens(usage: Json, name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None
