"""Detect texts in other languages than English, the only language that MiniLM was trained on."""

import re
import threading
import unicodedata
from functools import cache
from typing import Final, Protocol

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from domain.grading.essay_text import sentences

CONFIDENT: Final = 0.6
"""The lowest probability that counts as certain. In the development set the 302 English answers (code, logs, lists,
names) reach at most 0.41, and the answers in other languages at least 0.72."""
FEWEST_CHARS: Final = 20
"""The length from which the language of a sentence can be identified."""
_ENGLISH: Final = frozenset({"en", "pcm", "zxx"})
"""English, Nigerian Pidgin, and `zxx`: text without a language, such as keys and hashes."""
_LETTER: Final = re.compile(r"[^\W\d_]")
_LATIN_OR_GREEK: Final = re.compile(
    "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0370-\u03ff\u1e00-\u1eff]"
)
"""Greek letters occur in formulas; Greek words are left to the identifier."""
_LOADING: Final = threading.Lock()


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str, float]: ...


def is_other_language(text: str) -> bool:
    """Whether a text is in another language than English, by its letters or its words.

    A text that is too short to identify, such as a list of names or abbreviations, counts as English. So does a text
    with at least half of its letters in sentences that are clearly English.
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
    """Return the number of letters of a sentence that is clearly English, otherwise 0."""
    if len(sentence) < FEWEST_CHARS:
        return 0
    language, probability = _identifier().classify(sentence)
    return len(_LETTER.findall(sentence)) if language == "en" and probability >= CONFIDENT else 0


def _identifier() -> _Identifier:
    """Return the package's model. Threads that need it at the same time wait for one load."""
    with _LOADING:
        return _load()


@cache
def _load() -> _Identifier:
    """Load the package's model, which takes about a second and 75 MB."""
    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
