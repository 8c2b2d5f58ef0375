"""Unicode normalization with bounded cost, hidden characters, and text length across scripts."""

import re
import unicodedata
from itertools import chain, groupby, islice
from typing import Final

from domain.assessments.questions import MAX_ESSAY_CHARS

MAX_MARKS: Final = 30
"""Combining marks in a row, as in Unicode's Stream-Safe Text Format. Normalization sorts each run of marks in
quadratic time; no language stacks more than a few."""
MAX_NORMALIZED_CHARS: Final = 2 * MAX_ESSAY_CHARS
"""NFKC expands a character up to 18-fold. Ordinary text grows little."""
_FIRST_MARK: Final = "\u0300"

_TAG: Final = "[\U000e0000-\U000e007f]"
_ZERO_WIDTH: Final = "[\u00ad\u034f\u180e\u200b-\u200d\u2060\ufeff]"
_VARIATION: Final = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
"""The flag of a region such as Scotland: a black flag, the region's code in tags, and the cancel tag."""
_HIDDEN: Final = re.compile(
    rf"{_TAG}"
    rf"|{_ZERO_WIDTH}{{4}}|{_VARIATION}{{4}}"
    rf"|(?:[A-Za-z](?:{_ZERO_WIDTH}|{_VARIATION}){{1,3}}){{3}}[A-Za-z]"
    "|\u202e[^\\S\n]{0,9}[A-Za-z]"
)
"""Text in tag characters; bytes coded as invisible characters; a word with a break after each letter; Latin letters
in reverse order. Other uses are legitimate: joiners in Persian, Indic scripts and emoji, a break in a long word,
direction marks in Hebrew and Arabic or before a Windows path, terminal escape sequences, private-use icons."""

_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SYLLABIC: Final = re.compile("[\u3041-\u30ff\uac00-\ud7af\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
"""Kana, Hangul, Thai, Lao, Tibetan, Burmese and Khmer."""


def nfkc(text: str) -> str:
    """Return the first `MAX_NORMALIZED_CHARS` characters of the text in NFKC, in linear time."""
    return unicodedata.normalize("NFKC", limit_marks(text))[:MAX_NORMALIZED_CHARS]


def limit_marks(text: str) -> str:
    """Return the text with each run of combining marks cut to `MAX_MARKS`."""
    if text.isascii():
        return text
    runs = groupby(text, is_mark)
    return "".join(chain.from_iterable(islice(run, MAX_MARKS if marks else None) for marks, run in runs))


def latin_length(text: str) -> int:
    """Return the length of a text in Latin letters.

    A Han character counts as three Latin letters, and a character of a syllabic or unspaced script as two.
    """
    return len(text) + 2 * len(_HAN.findall(text)) + len(_SYLLABIC.findall(text))


def has_hidden_characters(text: str) -> bool:
    """Return whether invisible characters carry a message, or disguise or reverse a word."""
    return _HIDDEN.search(_FLAG.sub("", text)) is not None


def is_mark(character: str) -> bool:
    """Return whether a character decomposes to combining marks. Some have a combining class only when decomposed."""
    return character >= _FIRST_MARK and unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0
