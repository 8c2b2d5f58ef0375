"""Text that nobody writes: letters that make no words, and words that make no sentences."""

import re
from collections.abc import Iterable
from typing import Final

ODD_STRETCH: Final = 5
"""So many more odd words than plain ones in some stretch are no accident of names and abbreviations."""
FEWEST_ODD: Final = 3
"""The same for a text that hardly holds anything else."""

_RARE: Final = {
    "b": "fgkpqvxz", "c": "fjvwxz", "d": "kqxz", "f": "bdghjkmnpqvwxz", "g": "bcfjkpqvxz", "h": "ghjkqvxz", "i": "wy",
    "j": "bcdfghjklmnpqrstvwxyz", "k": "cgjkmqvxz", "l": "jqxz", "m": "dghjkqvxz", "o": "q", "p": "fjknqvwxz",
    "q": "abcdefghijklmnopqrstvwxyz", "r": "jx", "s": "jxz", "t": "jqx", "u": "quw", "v": "bcdfghjklmnpqrstvwxz",
    "w": "gjpquvxz", "x": "bdfgjklmnqrsvwxyz", "y": "hjqvxy", "z": "bcdfgjkmnpqrstvwx",
}  # fmt: skip
"""Second letters by first: pairs that fewer than 4 of 21,000 words hold. Of random words of five letters they betray
three in four, of German and Polish ones a few: what counts is a stretch."""

FEWEST_ODD_PAIRS: Final = 2
MOST_WORDS_TO_A_PAIR: Final = 200
"""An honest text has an odd pair of words in thousands; English words in no order have one in twenty."""

_ODD_PAIR: Final = re.compile(
    r"\b(?:"
    r"(?:the|an|my|our|your|their|every)\s+(?:the|an?|of|and|or|to|is|are|was|be|in|on|for|with|that|it|by|at|if|but|"
    r"we|they|would|than|from)"
    r"|(?:of|for|with|from|into|than)\s+(?:of|is|are|was|were|to|and|or|but|for|with|by|would|should|be|has|have)"
    r")\b(?![-/'’])"
)
"""A determiner or a preposition before a word that it never precedes; "the in-house team" is none."""

_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_LATIN: Final = re.compile(r"[a-z]+")
_NO_WORD: Final = re.compile(
    "|".join([*(f"{first}[{seconds}]" for first, seconds in _RARE.items()), r"^[^aeiouy]+$", r"(.)\1\1"])
)
_LONGEST_ABBREVIATION: Final = 5


def is_gibberish(text: str) -> bool:
    """Whether a stretch of the text, or most of a short one, is no words, or its words stand in no order."""
    return _is_letters(text) or _is_shuffled(text.lower())


def _is_letters(text: str) -> bool:
    """Only words of 3 or more unaccented Latin letters are judged, and abbreviations in capitals are not."""
    words = [word for word in _WORD.findall(text) if not (word.isupper() and len(word) <= _LONGEST_ABBREVIATION)]
    judged = [_NO_WORD.search(word) is not None for word in map(str.lower, words) if _LATIN.fullmatch(word)]
    surplus = _largest_surplus(judged)
    return surplus >= ODD_STRETCH or (surplus >= FEWEST_ODD and 2 * surplus > len(judged))


def _is_shuffled(text: str) -> bool:
    odd = len(_ODD_PAIR.findall(text))
    return odd >= FEWEST_ODD_PAIRS and odd * MOST_WORDS_TO_A_PAIR > len(text.split())


def _largest_surplus(odd: Iterable[bool]) -> int:
    """The most by which odd words outnumber plain ones in any stretch (Kadane)."""
    largest = current = 0
    for each in odd:
        current = max(0, current + (1 if each else -1))
        largest = max(largest, current)
    return largest
