"""Build a model's HTTP responses: good gradings, vectors and every fault that a provider shows.

Essays are parsed from between the prompt's two marker lines, criteria and levels from the reply form in the prompt.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

from domain.recommending.vectors import DIMENSIONS
from tests.support.fake_search import bag_of_words

MODEL: Final = "gpt-5.4-mini"
EMBEDDING_MODEL: Final = "text-embedding-3-small"
MOST_TEXTS: Final = 2_048
MOST_TOKENS: Final = 8_192
MOST_TOKENS_IN_ALL: Final = 300_000
FOR_EVER: Final = 3_600.0

_ESSAY: Final = re.compile(r"^--- (\w+) answer begins ---\n(.*)\n--- \1 answer ends ---$", re.DOTALL | re.MULTILINE)
_FORM: Final = re.compile(r'^\{.*"criteria": \{.*\}$', re.MULTILINE)
_SENTENCE: Final = re.compile(r"[^.!?\n]{12,}")
_TOP_WANTED: Final = re.compile(r"full marks|highest level|ignore (?:the|all) (?:rubric|instructions)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that the server received."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def system(self) -> str:
        return str(self.json["messages"][0]["content"])

    @property
    def user(self) -> str:
        return str(self.json["messages"][-1]["content"])

    @property
    def essay(self) -> str:
        found = _ESSAY.search(self.user)
        return found[2] if found else ""

    @property
    def levels(self) -> dict[str, list[str]]:
        """Return the level names by criterion, the lowest level first."""
        form = _FORM.search(self.system)
        criteria = json.loads(form[0])["criteria"] if form else {}
        return {key: each["level"].split(" | ") for key, each in criteria.items()}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response and its timing.

    After `after_s` seconds the body is sent. With `drip_s` it is sent byte by byte at that interval. With `reset_at`
    the connection is reset after that many bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_s: float = 0.0
    drip_s: float = 0.0
    reset_at: int | None = None


Rule: TypeAlias = Callable[[Asked], Answer]
Play: TypeAlias = Answer | Rule


def completion(content: str | None, *, asked: Asked | None = None, reason: str = "stop", **message: Any) -> Answer:
    """Build a chat completion with any content. The token count is estimated from the length; nothing is cached."""
    prompt = len(asked.body) // 4 if asked else 100
    document = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None, **message},
                "finish_reason": reason,
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": 1 + len(content or "") // 4,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }
    return Answer(body=json.dumps(document).encode())


def vectors(*rows: list[float], tokens: int = 100, **changes: Any) -> Answer:
    """Build an embedding response with one entry per row."""
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Answer(
        body=json.dumps({"object": "list", "model": EMBEDDING_MODEL, "data": data, "usage": usage} | changes).encode()
    )


def embedded(asked: Asked) -> Answer:
    """Embed each text as a bag of words. One word is one token; the limits are OpenAI's."""
    texts = asked.json["input"]
    tokens = [len(text.split()) for text in texts]
    if not texts or len(texts) > MOST_TEXTS or "" in texts:
        return refusal(400, "'$.input' is invalid.", param="input")
    if max(tokens) > MOST_TOKENS or sum(tokens) > MOST_TOKENS_IN_ALL:
        return refusal(400, "Requested too many tokens.", code="max_tokens_per_request")
    if asked.json["dimensions"] != DIMENSIONS or asked.json["encoding_format"] != "float":
        return refusal(400, "The test's model makes no others.", param="dimensions")
    return vectors(*map(bag_of_words, texts), tokens=sum(tokens))


def refusal(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    kind: str = "invalid_request_error",
    **headers: str,
) -> Answer:
    """Build an error in OpenAI's format. Underscores in header names become dashes."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=json.dumps({"error": error}).encode())


def graded(asked: Asked, level: int, *, quotes: list[str] | None = None) -> dict[str, Any]:
    """Build a grading with the same level for every criterion. A negative `level` counts from the end.

    By default, the grading quotes the essay.
    """
    found = [sentence.strip() for sentence in _SENTENCE.findall(asked.essay)][:1]
    return {
        "criteria": {
            key: {
                "rationale": "The answer says so.",
                "quotes": found if quotes is None else quotes,
                "level": names[level],
            }
            for key, names in asked.levels.items()
        },
        "answers_the_question": True,
        "feedback": "A fair start; say how you would check it.",
    }


def at_level(level: int) -> Rule:
    """Return a rule that gives every criterion this level, or the lowest one if nothing can be quoted."""

    def rule(asked: Asked) -> Answer:
        grading = graded(asked, level)
        quoted = any(each["quotes"] for each in grading["criteria"].values())
        return completion(json.dumps(grading if quoted else graded(asked, 0)), asked=asked)

    return rule


good: Rule = at_level(1)


def obedient(asked: Asked) -> Answer:
    """Give the highest levels to an essay that asks for them, as a model vulnerable to prompt injection does."""
    return at_level(-1 if _TOP_WANTED.search(asked.essay) else 1)(asked)


def unproven(asked: Asked) -> Answer:
    """Quote a sentence that is not in the essay."""
    return completion(json.dumps(graded(asked, 1, quotes=["Nobody ever wrote this sentence anywhere."])), asked=asked)


def incomplete(asked: Asked) -> Answer:
    """Leave out the last criterion."""
    grading = graded(asked, 1)
    grading["criteria"].popitem()
    return completion(json.dumps(grading), asked=asked)


def inventive(asked: Asked) -> Answer:
    """Give a level that is not in the rubric."""
    grading = graded(asked, 1)
    for each in grading["criteria"].values():
        each["level"] = "Beyond compare"
    return completion(json.dumps(grading), asked=asked)


def without(*names: str) -> Rule:
    """Return a rule of an endpoint that rejects some options; `json_schema` and `json_object` name response formats."""

    def rule(asked: Asked) -> Answer:
        sent = {*asked.json, asked.json.get("response_format", {}).get("type")}
        for name in names:
            if name in sent:
                param = "response_format" if name.startswith("json_") else name
                message = f"Unsupported parameter: '{name}' is not supported here."
                return refusal(400, message, code="unsupported_value", param=param)
        return good(asked)

    return rule


def where(plays: Mapping[str, Play], otherwise: Rule = good) -> Rule:
    """Return a rule that chooses the response by a text in the essay."""

    def rule(asked: Asked) -> Answer:
        play = next((play for text, play in plays.items() if text in asked.essay), otherwise)
        return play(asked) if callable(play) else play

    return rule


def delayed(seconds: float, rule: Rule = good) -> Rule:
    return lambda asked: replace(rule(asked), after_s=seconds)


WRONG_KEY: Final = refusal(401, "Incorrect API key provided.", code="invalid_api_key")
UNKNOWN_MODEL: Final = refusal(404, "The model does not exist or you do not have access.", code="model_not_found")
NO_CREDIT: Final = refusal(429, "You exceeded your current quota.", code="insufficient_quota")
TOO_MANY: Final = refusal(429, "Rate limit reached.", code="rate_limit_exceeded")
TOO_LONG: Final = refusal(400, "The maximum context length is exceeded.", code="context_length_exceeded")
BROKEN: Final = refusal(500, "The server had an error.")
OVERLOADED: Final = refusal(503, "The engine is overloaded.")
HANG: Final = Answer(after_s=FOR_EVER)
RESET: Final = Answer(body=b'{"choices": [{"mess', headers={"content-length": "4000"}, reset_at=19)
DRIP: Final = Answer(body=b'{"choices": [' + b" " * 4_000, drip_s=0.02)
NO_JSON: Final = completion("I would give this answer a good grade.")
CUT_OFF: Final = completion('{"criteria": {"cause": {"rationale": "It', reason="length")
REFUSED: Final = completion(None, refusal="I cannot help with that.")
FILTERED: Final = completion("", reason="content_filter")
NO_CHOICES: Final = Answer(body=b'{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 0}}')
MEGABYTE: Final = completion("x" * 1_000_000)
HTML: Final = Answer(body=b"<html><body>Bad gateway</body></html>", headers={"content-type": "text/html"})
