"""Detects texts in other languages than English, which is the only one that MiniLM was trained on."""

import re
import unicodedata
from functools import cache
from typing import Final, Protocol

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from domain.grading.essay_text import sentences

CONFIDENT: Final = 0.6
"""The least probability of another language. Of the development set's 302 English answers (code, logs, lists, names)
none reaches more than 0.41, and its answers in other languages reach 0.72 or more."""
FEWEST_CHARS: Final = 20
"""Of a sentence; shorter ones are too short to tell."""
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
    """Whether a text is in another language than English: most of its letters, or its words.

    A text that is too short to tell, such as a list of names or abbreviations, counts as English. So does one with a
    foreign sentence, if at least half of its letters are in sentences that are clearly English.
    """
    normalized = unicodedata.normalize("NFC", text)
    letters, latin_or_greek = len(_LETTER.findall(normalized)), len(_LATIN_OR_GREEK.findall(normalized))
    if 2 * latin_or_greek < letters:
        return True
    language, probability = _identifier().classify(normalized)
    if language in _ENGLISH or probability < CONFIDENT:
        return False
    return 2 * sum(map(_english_letters, sentences(normalized))) < letters


def _english_letters(sentence: str) -> int:
    """The number of letters of a sentence that is clearly English, otherwise 0."""
    if len(sentence) < FEWEST_CHARS:
        return 0
    language, probability = _identifier().classify(sentence)
    return len(_LETTER.findall(sentence)) if language == "en" and probability >= CONFIDENT else 0


@cache
def _identifier() -> _Identifier:
    """The model comes with the package; loading it takes about a second and 75 MB."""
    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
