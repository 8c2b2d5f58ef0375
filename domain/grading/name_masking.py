"""Mask e-mail addresses and the author's name in an answer that a language model sees as an example."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from domain.email_addresses import ADDRESS_IN_TEXT
from domain.grading.essay_text import sanitize
from domain.unicode_text import latin_length

NAME: Final = "[name]"
ADDRESS: Final = "[e-mail]"
FEWEST_IN_NAME: Final = 2
FEWEST_IN_ADDRESS: Final = 3
"""Shorter parts of a name, and of the address before its "@", are not masked: they are initials."""

_ADDRESS: Final = re.compile(ADDRESS_IN_TEXT)


def mask_author(text: str, *, name: str | None, email: str) -> str:
    """Return the sanitized text with every e-mail address, and each word of the author's name and address, masked.

    Case and accents do not matter. Names of other people are not recognized.
    """
    words = {*_words(name or "", FEWEST_IN_NAME), *_words(email.partition("@")[0], FEWEST_IN_ADDRESS)}
    masked = _ADDRESS.sub(ADDRESS, unicodedata.normalize("NFC", sanitize(text)))
    for word in sorted(filter(_is_unspaced, words), key=len, reverse=True):  # a name may contain another one
        masked = masked.replace(word, NAME)
    return "".join(NAME if is_word and _plain(run) in words else run for is_word, run in _runs(masked))


def _words(text: str, fewest: int) -> Iterable[str]:
    found = [run for is_word, run in _runs(unicodedata.normalize("NFC", text)) if is_word and len(run) >= fewest]
    return [word if _is_unspaced(word) else _plain(word) for word in found]


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the text as words and what is between them, each with whether it is a word.

    Combining marks belong to their word: in Hindi, Thai or Arabic they are vowels.
    """
    return ((is_word, "".join(run)) for is_word, run in groupby(text, _is_in_word))


def _is_in_word(character: str) -> bool:
    return character.isalpha() or unicodedata.category(character).startswith("M")


def _is_unspaced(word: str) -> bool:
    """Return whether the word is of a script without spaces, in which a name is part of a longer run of letters."""
    return latin_length(word) > len(word)


def _plain(word: str) -> str:
    """Return the word in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
