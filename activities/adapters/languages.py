"""Detects texts in other languages than English, which is the only one that MiniLM was trained on."""

import re
import unicodedata
from functools import cache
from typing import Final, Protocol

from py3langid.langid import MODEL_FILE, LanguageIdentifier

CONFIDENT: Final = 0.6
"""The least probability of another language. Of the development set's 302 English answers (code, logs, lists, names)
none reaches more than 0.41, and its answers in other languages reach 0.72 or more."""
_ENGLISH: Final = frozenset({"en", "pcm", "zxx"})
"""English, Nigerian Pidgin, and `zxx`: no language, such as keys and hashes."""
_LETTER: Final = re.compile(r"[^\W\d_]")
_LATIN_OR_GREEK: Final = re.compile(
    "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0370-\u03ff\u1e00-\u1eff]"
)
"""Greek letters are signs in formulas; Greek words are left to the identifier."""


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str, float]: ...


def is_other_language(text: str) -> bool:
    """Whether most letters are of another script, or the words are of another language than English.

    Texts that are too short to tell, such as a list of names or abbreviations, count as English.
    """
    normalized = unicodedata.normalize("NFC", text)
    letters, latin_or_greek = len(_LETTER.findall(normalized)), len(_LATIN_OR_GREEK.findall(normalized))
    if 2 * latin_or_greek < letters:
        return True
    language, probability = _identifier().classify(normalized)
    return language not in _ENGLISH and probability >= CONFIDENT


@cache
def _identifier() -> _Identifier:
    """The model comes with the package; loading it takes about a second and 100 MB."""
    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
