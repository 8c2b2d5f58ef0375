"""Reads a JSON body strictly: what two readers could understand differently is refused.

Numbers with a fraction or an exponent arrive as Decimal, so that an answer is judged as it was written.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from email.message import Message as Headers
from typing import Any, Final, NoReturn

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from domain.errors import InvalidInput, Problem

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 15
"""Integers of more digits lose precision in readers that know only doubles."""
MAX_NUMBER_CHARS: Final = 32
_SMALLEST_EXPONENT: Final = -30
_NOT_TEXT: Final = re.compile("[\0\ud800-\udfff]")


class StrictRequest(Request):
    """A request whose `json()` is strict and whose body is counted while it arrives."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, _counted(receive))

    async def json(self) -> Any:  # noqa: ANN401  # JSON is anything
        """The parsed body.

        Raises:
            InvalidInput: the body is not strict JSON.
            HTTPException: 413 over 1 MiB; 415 for anything but identity-encoded application/json.
        """
        if not hasattr(self, "_document"):
            _check_headers(self.headers)
            self._document = parse_json(await self.body())
        return self._document


def parse_json(body: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    """One JSON document in UTF-8, without duplicate keys, NaN, lone surrogates, NUL or absurd numbers and depths."""
    if not body:
        _refuse("is required")
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=lambda _: _refuse("holds a number that is not finite"),
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


def _counted(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BYTES:
            raise HTTPException(413)
        return message

    return counted


def _check_headers(headers: Mapping[str, str]) -> None:
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > MAX_BYTES:
        raise HTTPException(413)
    content_type = Headers()
    content_type["content-type"] = headers.get("content-type", "application/octet-stream")
    charset = content_type.get_content_charset("utf-8")
    if (
        content_type.get_content_type() != "application/json"
        or charset not in {"utf-8", "utf8"}
        or headers.get("content-encoding", "identity").lower() != "identity"
    ):
        raise HTTPException(415)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        _refuse("holds a key twice")
    return document


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > MAX_DIGITS:
        _refuse(f"holds an integer of more than {MAX_DIGITS} digits")
    return int(literal)


def _decimal(literal: str) -> Decimal:
    if len(literal) <= MAX_NUMBER_CHARS:
        number = Decimal(literal)
        if number.is_zero() or _SMALLEST_EXPONENT <= number.adjusted() < MAX_DIGITS:
            return number
    _refuse("holds a number out of range or of too many digits")


def _check(value: object, depth: int) -> None:
    match value:
        case str():
            if _NOT_TEXT.search(value):
                _refuse("holds a text with NUL or half a surrogate pair")
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
