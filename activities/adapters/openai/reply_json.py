"""Find the JSON objects in a model's text and repair faults that have only one possible meaning.

Every function takes linear time in the length of the text.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final, NoReturn, TypeAlias

Json: TypeAlias = dict[str, Any]

MOST_OBJECTS: Final = 8
"""The most starts of an object in a text that is read, because each one costs a pass over the text."""

_STRING: Final = r'"[^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+(?:"|\Z)'
_TOKEN: Final = re.compile(rf"{_STRING}|[{{}}]", re.DOTALL)
_REPAIR: Final = re.compile(rf"{_STRING}|,(?=\s*[}}\]])|\b(?:True|False|None)\b", re.DOTALL)
_REPAIRED: Final = {",": "", "True": "true", "False": "false", "None": "null"}
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})?')
_THOUGHTS: Final = re.compile(r"\s*<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)


class NotReadable(ValueError):
    """A reply that cannot be read. The message contains no part of the reply, because it goes into `Unreadable`."""


def parse(text: str | bytes, **hooks: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON document.

    Raises:
        NotReadable: the text is not JSON.
    """
    try:
        return json.loads(text, **hooks)
    except NotReadable:
        raise
    except (ValueError, RecursionError):
        raise NotReadable("is not JSON") from None


def objects(text: str, members: Collection[str]) -> Iterator[Json | NotReadable]:
    """Yield the objects in the text that start with one of the members, in order; a broken one as its error.

    An object with a repeated member or NaN is broken. Reasoning in tags before the answer and text around an object are
    ignored. An object cannot start inside a string of valid JSON, because quotation marks are escaped there.
    """
    body = text[thoughts.end() :] if (thoughts := _THOUGHTS.match(text)) else text
    names = "|".join(map(re.escape, members))
    starts = [found.start() for found in re.finditer(rf'\{{\s*"(?:{names})"\s*:', body)]
    if len(starts) > MOST_OBJECTS:
        yield NotReadable("has too many objects")
        return
    position = 0
    for start in starts or [max(0, body.find("{"))]:
        if start < position:  # inside the previous object
            continue
        end = _end(body, start) if starts else body.rfind("}") + 1
        try:
            repaired = _REPAIR.sub(_repaired, body[start:end])
            # Not strict: a raw newline in a string is accepted.
            yield parse(repaired, strict=False, parse_constant=_no_number, object_pairs_hook=_unique)
            position = end
        except NotReadable as problem:
            yield problem


def _end(text: str, start: int) -> int:
    """Return the end of the object that starts at `start`, or `start` if it has no end."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return start


def _repaired(found: re.Match[str]) -> str:
    return _escaped(found[0]) if found[0].startswith('"') else _REPAIRED[found[0]]


def _escaped(string: str) -> str:
    r"""Escape the literal backslashes in a string: `\(K_\alpha\)`, `\frac`, `C:\Users\new`.

    An invalid escape is a literal backslash. A backspace or form feed before a letter is the start of a TeX command. In
    a string with invalid escapes, so is every other one-letter escape before a lower-case letter.
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
    raise NotReadable("has a number that is not finite")


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotReadable("has a member twice")
    return members
