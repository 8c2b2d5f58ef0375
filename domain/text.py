"""Text helpers: the check for blank texts, the normal form of names, and lists in sentences."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point: characters that are not displayed, such as a zero-width space."""
_BLANK_BRAILLE: Final = "\u2800"
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs", "Mc", "Me", "Mn"})
"""Controls, private use, surrogates, spaces, and combining marks, which are visible only on a letter."""


def is_blank(text: str) -> bool:
    """Return whether the text has only white space, invisible characters and combining marks without a letter."""
    return all(map(_is_invisible, text))


def enumerated(names: Sequence[str]) -> str:
    """Join one or more names for a sentence: "A", "A and B" or "A, B and C"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _is_invisible(character: str) -> bool:
    return (
        unicodedata.category(character) in _INVISIBLE_CATEGORIES
        or character == _BLANK_BRAILLE
        or _IGNORABLE.match(character) is not None
    )


def normalized_name(name: str) -> str:
    """Return the normal form of a name, in which names that look alike are equal.

    The form has no invisible characters, is in NFKC, and has one space for each run of white space. Limit the length
    first, because NFKC takes quadratic time on long runs of combining marks.
    """
    return " ".join(unicodedata.normalize("NFKC", _IGNORABLE.sub("", name)).split())
