"""Gibberish detection: finds a passage whose words are random letters. A match causes a review and changes no grade."""

import re
from collections.abc import Iterable
from typing import Final

from domain.grading.prose import prose

FEWEST_ODD: Final = 6
"""The surplus of odd words over others that makes a passage gibberish. Names and abbreviations give less."""

_RARE: Final = {
    "b": "fgkpqvxz", "c": "fjvwxz", "d": "kqxz", "f": "bdghjkmnpqvwxz", "g": "bcfjkpqvxz", "h": "ghjkqvxz", "i": "wy",
    "j": "bcdfghjklmnpqrstvwxyz", "k": "cgjkmqvxz", "l": "jqxz", "m": "dghjkqvxz", "o": "q", "p": "fjknqvwxz",
    "q": "abcdefghijklmnopqrstvwxyz", "r": "jx", "s": "jxz", "t": "jqx", "u": "quw", "v": "bcdfghjklmnpqrstvwxz",
    "w": "gjpquvxz", "x": "bdfgjklmnqrsvwxyz", "y": "hjqvxy", "z": "bcdfgjkmnpqrstvwx",
}  # fmt: skip
"""Second letters by first letter, for pairs that occur in fewer than 4 of 21,000 English words. Three of four random
words of five letters have such a pair."""
_ODD_PAIR: Final = re.compile("|".join(f"{first}[{seconds}]" for first, seconds in _RARE.items()))
_WORD: Final = re.compile(r"(?<![^\s(\"'])[a-zA-Z]{4,}(?=[.,;:!?)\"']{0,3}(?:\s|$))")
"""A word between spaces and punctuation. Parts of identifiers, paths, keys and base64 do not match."""
_PAIRED: Final = 5
"""The minimum length for the check of letter pairs. Shorter words may be abbreviations (mqtt, jdbc)."""
_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "poiuytrewq", "lkjhgfdsa", "mnbvcxz")


def is_gibberish(text: str) -> bool:
    """Return whether odd words prevail in a passage of the prose. Only words of unaccented Latin letters count."""
    words = [word.lower() for word in _WORD.findall(prose(text)) if not word.isupper()]
    return _largest_surplus(map(_is_odd, words)) >= FEWEST_ODD


def _is_odd(word: str) -> bool:
    """Return whether a word has a rare pair of letters or is a run of adjacent keys."""
    return (len(word) >= _PAIRED and _ODD_PAIR.search(word) is not None) or any(word in row for row in _ROWS)


def _largest_surplus(odd: Iterable[bool]) -> int:
    """Return the largest surplus of odd words over others in any passage (Kadane's algorithm)."""
    largest = current = 0
    for each in odd:
        current = max(0, current + (1 if each else -1))
        largest = max(largest, current)
    return largest
