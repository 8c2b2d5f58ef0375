"""Gibberish: a stretch of text whose words are random letters. A match calls for a review and changes no grade."""

import re
from collections.abc import Iterable
from typing import Final

from domain.grading.prose import prose

FEWEST_ODD: Final = 6
"""So many more odd words than others, in some stretch of the prose, are no accident of names and abbreviations."""

_RARE: Final = {
    "b": "fgkpqvxz", "c": "fjvwxz", "d": "kqxz", "f": "bdghjkmnpqvwxz", "g": "bcfjkpqvxz", "h": "ghjkqvxz", "i": "wy",
    "j": "bcdfghjklmnpqrstvwxyz", "k": "cgjkmqvxz", "l": "jqxz", "m": "dghjkqvxz", "o": "q", "p": "fjknqvwxz",
    "q": "abcdefghijklmnopqrstvwxyz", "r": "jx", "s": "jxz", "t": "jqx", "u": "quw", "v": "bcdfghjklmnpqrstvwxz",
    "w": "gjpquvxz", "x": "bdfgjklmnqrsvwxyz", "y": "hjqvxy", "z": "bcdfgjkmnpqrstvwx",
}  # fmt: skip
"""Second letters by first: pairs that fewer than 4 of 21,000 English words hold. They are in three of four random
words of five letters."""
_ODD_PAIR: Final = re.compile("|".join(f"{first}[{seconds}]" for first, seconds in _RARE.items()))
_WORD: Final = re.compile(r"(?<![^\s(\"'])[a-zA-Z]{4,}(?=[.,;:!?)\"']{0,3}(?:\s|$))")
"""Between blanks and punctuation only: parts of identifiers, paths, keys and base64 are not judged."""
_PAIRED: Final = 5
"""Shorter words may be abbreviations (mqtt, jdbc)."""
_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "poiuytrewq", "lkjhgfdsa", "mnbvcxz")


def is_gibberish(text: str) -> bool:
    """Whether odd words prevail in a stretch of the prose. Only words of unaccented Latin letters are judged."""
    words = [word.lower() for word in _WORD.findall(prose(text)) if not word.isupper()]
    return _largest_surplus(map(_is_odd, words)) >= FEWEST_ODD


def _is_odd(word: str) -> bool:
    """Whether it holds a rare pair of letters, or is a stretch of the keyboard."""
    return (len(word) >= _PAIRED and _ODD_PAIR.search(word) is not None) or any(word in row for row in _ROWS)


def _largest_surplus(odd: Iterable[bool]) -> int:
    """The most by which odd words outnumber the others in any stretch (Kadane's algorithm)."""
    largest = current = 0
    for each in odd:
        current = max(0, current + (1 if each else -1))
        largest = max(largest, current)
    return largest
