"""Finds the JSON objects in what a model wrote and repairs faults whose meaning is certain.

Every function takes linear time in the length of the text, whatever the text is.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final, NoReturn, TypeAlias

Json: TypeAlias = dict[str, Any]

MOST_OBJECTS: Final = 8
"""A text with more beginnings of an object is not read: each costs one pass over the text."""

_STRING: Final = r'"[^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+(?:"|\Z)'
_TOKEN: Final = re.compile(rf"{_STRING}|[{{}}]", re.DOTALL)
_REPAIR: Final = re.compile(rf"{_STRING}|,(?=\s*[}}\]])|\b(?:True|False|None)\b", re.DOTALL)
_REPAIRED: Final = {",": "", "True": "true", "False": "false", "None": "null"}
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})?')
_THOUGHTS: Final = re.compile(r"\s*<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)


class NotReadable(ValueError):
    """The text of the error is a problem of `Unreadable`: a constant, never a part of the reply."""


def parse(text: str | bytes, **hooks: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON document.

    Raises:
        NotReadable: it is something else.
    """
    try:
        return json.loads(text, **hooks)
    except NotReadable:
        raise
    except (ValueError, RecursionError):
        raise NotReadable("is no JSON") from None


def objects(text: str, members: Collection[str]) -> Iterator[Json | NotReadable]:
    """The objects in the text that begin with one of the members, in order; in place of a broken one, what is wrong.

    An object names no member twice and holds no NaN. Thoughts in tags before the answer, and what surrounds an object,
    are ignored. In a string of valid JSON no object begins, because its quotation marks are escaped.
    """
    body = text[thoughts.end() :] if (thoughts := _THOUGHTS.match(text)) else text
    names = "|".join(map(re.escape, members))
    starts = [found.start() for found in re.finditer(rf'\{{\s*"(?:{names})"\s*:', body)]
    if len(starts) > MOST_OBJECTS:
        yield NotReadable("holds too many objects")
        return
    position = 0
    for start in starts or [max(0, body.find("{"))]:
        if start < position:  # inside the object before
            continue
        end = _end(body, start) if starts else body.rfind("}") + 1
        try:
            repaired = _REPAIR.sub(_repaired, body[start:end])
            # Not strict: a raw newline in a string is one.
            yield parse(repaired, strict=False, parse_constant=_no_number, object_pairs_hook=_unique)
            position = end
        except NotReadable as problem:
            yield problem


def _end(text: str, start: int) -> int:
    """Where the object that begins at `start` ends; `start` when it does not."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return start


def _repaired(found: re.Match[str]) -> str:
    return _escaped(found[0]) if found[0].startswith('"') else _REPAIRED[found[0]]


def _escaped(string: str) -> str:
    r"""The string with the backslashes escaped that were written as such: `\(K_\alpha\)`, `\frac`, `C:\Users\new`.

    Invalid escapes are backslashes. A backspace or form feed before a letter is the beginning of a command of TeX. In a
    string with invalid escapes, so is every other one-letter escape before a lower-case letter.
    """
    careless = any(found[0] == "\\" for found in _ESCAPE.finditer(string))

    def escape(found: re.Match[str]) -> str:
        following = string[found.end() : found.end() + 1]
        name = found[0][1:]
        literal = (
            not name
            or (name in {"b", "f"} and following.isalpha())
            or (careless and name in {"n", "r", "t"} and following.islower())
        )
        return "\\" + found[0] if literal else found[0]

    return _ESCAPE.sub(escape, string)


def _no_number(_: str) -> NoReturn:
    raise NotReadable("holds a number that is none")


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotReadable("names something twice")
    return members
