"""Parse JSON bodies strictly: reject input that two parsers could read differently.

The size is checked before parsing: bytes while they arrive, then the number of values. Numbers with a fraction or an
exponent become Decimal, so that answers are scored exactly.
"""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.message import Message as Headers
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from domain.errors import InvalidInput, Problem

MAX_BYTES: Final = 1024 * 1024
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 200
"""Pydantic may create an error for each value, at a cost of at most 0.1 ms each."""
MAX_DIGITS: Final = 15
"""Longer integers lose precision in parsers that use doubles."""
MAX_NUMBER_CHARS: Final = 32
_SMALLEST_EXPONENT: Final = -30
_QUOTE: Final = ord('"')
_NOT_TEXT: Final = re.compile("[\0\ud800-\udfff]")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,\[{]', re.DOTALL)
"""A string, even if unterminated, or a character that precedes a value."""

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """The limits of a body: bytes, and JSON values. An object with one field counts as two values."""

    max_bytes: int = MAX_BYTES
    max_values: int = MAX_VALUES


DEFAULT_LIMITS: Final = BodyLimits()


class StrictRequest(Request):
    """A request with strict `json()`. Its body has a size limit, and a timeout for the whole of it."""

    def __init__(self, scope: Scope, receive: Receive, timeout_s: float, limits: BodyLimits = DEFAULT_LIMITS) -> None:
        super().__init__(scope, _counted(receive, timeout_s, limits.max_bytes))
        self._limits = limits

    async def json(self) -> Any:  # noqa: ANN401  # JSON is anything
        """Return the parsed body. Raises as `parsed` does."""
        if not hasattr(self, "_document"):
            self._document = await self.parsed({JSON: parse_json})
        return self._document

    async def parsed(self, parsers: Mapping[str, Callable[[bytes], Parsed]]) -> Parsed:
        """Parse the body with the parser of its media type; in a thread if the route allows large bodies.

        Raises:
            InvalidInput: the parser rejects the body, or it is JSON with too many values.
            HTTPException: 408 if the body takes too long, 413 if it exceeds the route's limit, 415 for other media
                types, charsets and encodings.
        """
        media_type = self.media_type(parsers.keys())
        body = await self.body()

        def parse() -> Parsed:
            if media_type == JSON:
                check_values(body, self._limits.max_values)
            return parsers[media_type](body)

        return await asyncio.to_thread(parse) if self._limits.max_bytes > MAX_BYTES else parse()

    async def check_form(self) -> None:
        """Check that the form has no duplicate names and is UTF-8. Raises as `parsed` does."""
        self.media_type({FORM})
        body = await self.body()
        fields = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        names = [name for name, _ in fields]
        if not is_percent_text(body):
            problem = "is not UTF-8"
        elif len(set(names)) < len(names):
            problem = "has a duplicate name"
        else:
            return
        raise InvalidInput("The request is not valid", (Problem("body", problem),))

    def media_type(self, known: Collection[str]) -> str:
        """Return the media type of the body, one of `known`. Raises as `parsed` does."""
        return _media_type(self.headers, known, self._limits.max_bytes)


def is_percent_text(encoded: bytes) -> bool:
    """Return whether the decoded text is UTF-8. Parsers silently replace invalid bytes."""
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return True


def check_values(body: bytes, most: int) -> None:
    """Reject a JSON text with more than `most` values, without parsing it: each but the first follows one of `,[{`.

    Raises:
        InvalidInput: the text has more values.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) < most:  # counts those inside strings too
        return
    values = strings = 1
    for token in _TOKEN.finditer(body):
        if body[token.start()] == _QUOTE:
            strings += 1
        else:
            values += 1
        if values > most or strings > 2 * most:  # valid JSON has at most two strings for each value
            _refuse(f"has more than {most:,} values")


def parse_json(body: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    """Parse one JSON document in UTF-8.

    Raises:
        InvalidInput: it has duplicate keys, NaN, lone surrogates, NUL, numbers out of range, or is nested too deep.
    """
    if not body:
        _refuse("is required")
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=lambda _: _refuse("has a number that is not finite"),
        )
    except UnicodeDecodeError:
        _refuse("is not UTF-8")
    except json.JSONDecodeError:
        _refuse("is not valid JSON")
    except RecursionError:
        _refuse(f"is nested deeper than {MAX_DEPTH} levels")
    _check(document, depth=0)
    return document


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("The body is not acceptable JSON", (Problem("body", problem),)) from None


def _counted(receive: Receive, timeout_s: float, max_bytes: int) -> Receive:
    size = 0
    deadline: float | None = asyncio.get_running_loop().time() + timeout_s

    async def counted() -> Message:
        nonlocal size, deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        size += len(message.get("body", b""))
        if size > max_bytes:
            raise HTTPException(413)
        if not message.get("more_body", False):
            deadline = None  # after the body, the next message is the disconnect
        return message

    return counted


def _media_type(headers: Mapping[str, str], known: Collection[str], max_bytes: int) -> str:
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > max_bytes:
        raise HTTPException(413)
    content_type = Headers()
    content_type["content-type"] = headers.get("content-type", "application/octet-stream")
    charset = content_type.get_content_charset("utf-8")
    media_type = content_type.get_content_type()
    if (
        media_type not in known
        or charset not in {"utf-8", "utf8"}
        or headers.get("content-encoding", "identity").lower() != "identity"
    ):
        raise HTTPException(415)
    return media_type


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        _refuse("has a duplicate key")
    return document


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > MAX_DIGITS:
        _refuse(f"has an integer with more than {MAX_DIGITS} digits")
    return int(literal)


def _decimal(literal: str) -> Decimal:
    if len(literal) <= MAX_NUMBER_CHARS:
        number = Decimal(literal)
        if number.is_zero() or _SMALLEST_EXPONENT <= number.adjusted() < MAX_DIGITS:
            return number
    _refuse("has a number that is out of range or has too many digits")


def _check(value: object, depth: int) -> None:
    match value:
        case str():
            if _NOT_TEXT.search(value):
                _refuse("has a text with a NUL character or half of a surrogate pair")
        case dict() | list():
            if depth == MAX_DEPTH:
                _refuse(f"is nested deeper than {MAX_DEPTH} levels")
            if isinstance(value, dict):
                for key in value:
                    _check(key, depth)
                value = list(value.values())
            for child in value:
                _check(child, depth + 1)
        case _:
            pass
