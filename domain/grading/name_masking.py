"""Mask e-mail addresses and the author's name in an answer that a language model sees as an example."""

import re
import unicodedata
from collections.abc import Iterable
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
_WORD: Final = re.compile(r"[^\W\d_]+")


def mask_author(text: str, *, name: str | None, email: str) -> str:
    """Return the sanitized text with every e-mail address, and each word of the author's name and address, masked.

    Case and accents do not matter. Names of other people are not recognized.
    """
    words = {*_words(name or "", FEWEST_IN_NAME), *_words(email.partition("@")[0], FEWEST_IN_ADDRESS)}
    masked = _ADDRESS.sub(ADDRESS, unicodedata.normalize("NFC", sanitize(text)))
    for word in (each for each in words if _is_unspaced(each)):
        masked = masked.replace(word, NAME)
    return _WORD.sub(lambda found: NAME if _plain(found[0]) in words else found[0], masked)


def _words(text: str, fewest: int) -> Iterable[str]:
    composed = unicodedata.normalize("NFC", text)
    found = [word for word in _WORD.findall(composed) if len(word) >= fewest]
    return [word if _is_unspaced(word) else _plain(word) for word in found]


def _is_unspaced(word: str) -> bool:
    """Return whether the word is of a script without spaces, in which a name is part of a longer run of letters."""
    return latin_length(word) > len(word)


def _plain(word: str) -> str:
    """Return the word in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
