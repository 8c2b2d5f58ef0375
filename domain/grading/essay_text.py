"""Sanitize the text of an essay, and flag text that was not written to answer the question."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import or_
from typing import Final

from domain.assessments.questions import Anchor, EssayRubric
from domain.grading.gibberish import is_gibberish
from domain.grading.prompt_injection import has_injection
from domain.grading.prose import prose
from domain.unicode_text import has_hidden_characters, latin_length, limit_marks, nfkc

HIDDEN_CHARACTERS: Final = "hidden_characters"
ADDRESSED_TO_GRADER: Final = "addressed_to_grader"
GIBBERISH: Final = "gibberish"
COPIED_PROMPT: Final = "copied_prompt"
PASTED_RUBRIC: Final = "pasted_rubric"
REPEATED: Final = "repeated"
TOO_SHORT: Final = "too_short"
TEXT_FLAGS: Final = (
    HIDDEN_CHARACTERS,
    ADDRESSED_TO_GRADER,
    GIBBERISH,
    COPIED_PROMPT,
    PASTED_RUBRIC,
    REPEATED,
    TOO_SHORT,
)
"""All flags of `text_flags`, in its order."""
LITTLE_OF_ITS_OWN: Final = frozenset({COPIED_PROMPT, PASTED_RUBRIC, REPEATED, TOO_SHORT})
"""The flags for answers with little original text. The other flags match patterns and only cause a review."""

RUN: Final = 8
"""The shortest run of words that counts as a copy. Two texts rarely share a run of this length by chance."""
COPIED_SHARE: Final = 0.2
"""The share of an answer copied from the prompt that sets the flag. A quoted sentence is less. The labelled answers
copy nothing."""
PASTED_WORDS: Final = 14
"""The words copied from the rubric that set the flag. The project's labelled answers share at most 13 such words with
each other or with a descriptor."""
PASTED_VOCABULARY: Final = 0.7
FEWEST_IN_VOCABULARY: Final = 12
LONG_WORD: Final = 4
"""An answer with this share of the distinct long words of the highest levels, or of a labelled answer, in any order, is
flagged. Words of the question do not count, and a text needs `FEWEST_IN_VOCABULARY` other long words. No labelled
answer has more than half of the long words of another."""
REPEATED_SHARE: Final = 0.25
"""The repeated share of an answer that sets the flag. Only prose counts, because code repeats. 1 % of the essays of
English learners in ELLIPSE repeat more."""
USUAL_FEWEST_WORDS: Final = 3
MOST_FEWEST_WORDS: Final = 10
"""The minimum number of words without a labelled answer, and the largest minimum that labelled answers can set."""

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
"""Unicode's Default_Ignorable_Code_Point, surrogates and private use."""
_BREAK: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BLANK: Final = re.compile("[^\\S\n]|[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\u2800]")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_WORD: Final = re.compile(r"[^\W_]+")


def sanitize(text: str) -> str:
    """Return the text for a grader.

    Invisible characters are removed, line breaks become newlines, controls become spaces, and runs of combining marks
    are limited.
    """
    return limit_marks(_BLANK.sub(" ", _BREAK.sub("\n", _INVISIBLE.sub("", text))))


def text_flags(text: str, prompt: str, rubric: EssayRubric, labelled: Sequence[Anchor] = ()) -> tuple[str, ...]:
    """Return the flags of an answer to `prompt`, in the order of TEXT_FLAGS. Most answers have no flag.

    `labelled` are graded answers in addition to the rubric's own. They determine how short an answer may be.
    """
    body = sanitize(text)
    words = _words(body)
    question = _runs_of(prompt)
    found = {
        HIDDEN_CHARACTERS: has_hidden_characters(text),
        ADDRESSED_TO_GRADER: has_injection(body),
        GIBBERISH: is_gibberish(body),
        COPIED_PROMPT: sum(_shared(words, question)) > COPIED_SHARE * len(words),
        PASTED_RUBRIC: sum(_shared(words, _runs_of(*rubric_texts(rubric)) - question)) >= PASTED_WORDS
        or _is_shuffled_rubric(words, prompt, rubric),
        REPEATED: sum(_said_before(_words(prose(body)))) > REPEATED_SHARE * len(words),
        TOO_SHORT: is_too_short(body, rubric, labelled),
    }
    return tuple(flag for flag in TEXT_FLAGS if found[flag])


def is_too_short(text: str, rubric: EssayRubric, labelled: Sequence[Anchor] = ()) -> bool:
    """Return whether the text has less than a third of the words of the shortest labelled answer with points."""
    earned = _earning_words(rubric, labelled)
    fewest = min(MOST_FEWEST_WORDS, -(-min(earned) // 3)) if earned else USUAL_FEWEST_WORDS
    return _count_words(text) < fewest


def still_answers(left: str, text: str, rubric: EssayRubric, labelled: Sequence[Anchor] = ()) -> bool:
    """Return whether `left`, the rest of an answer's text, is long enough to be graded instead of the text.

    It needs half of the text's words, or as many words as the shortest labelled answer with points.
    """
    fewest = min([_count_words(text) / 2, *_earning_words(rubric, labelled)])
    return not is_too_short(left, rubric, labelled) and _count_words(left) >= fewest


def gradable_text(text: str, prompt: str, rubric: EssayRubric) -> str:
    """Return the sentences that can earn points: not copied from the prompt or the rubric, and not repeated.

    Returns "" when the text is the rubric's vocabulary in a different order.
    """
    parts = sentences(sanitize(text))
    words = [_words(part) for part in parts]
    said = [word for part in words for word in part]
    known = _runs_of(prompt) | _runs_of(*rubric_texts(rubric))
    worthless = list(map(or_, _shared(said, known), _said_before(said)))
    if _is_shuffled_rubric([word for word, drop in zip(said, worthless, strict=True) if not drop], prompt, rubric):
        return ""
    in_turn = iter(worthless)
    empty = [2 * sum(islice(in_turn, len(each))) > len(each) for each in words]
    return "".join(part for part, drop in zip(parts, empty, strict=True) if not drop).strip()


def sentences(text: str) -> list[str]:
    """Split the text after sentences and at newlines. The parts joined are the text."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [part for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if (part := text[start:end])]


def _earning_words(rubric: EssayRubric, labelled: Sequence[Anchor]) -> list[int]:
    """Return the number of words of each labelled answer with points."""
    lowest = {criterion.key: criterion.levels[0].name for criterion in rubric.criteria}
    return [_word_count(each.text) for each in (*rubric.anchors, *labelled) if dict(each.levels) != lowest]


def _words(text: str) -> list[str]:
    return _WORD.findall(nfkc(text).casefold())


@lru_cache(maxsize=1024)  # every essay needs the counts of the same labelled answers
def _word_count(text: str) -> int:
    return _count_words(text)


def _count_words(text: str) -> int:
    """Return the number of words. In scripts without spaces, two Han characters or four others count as a word."""
    return len(_words(text)) + (latin_length(text) - len(text)) // 4


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


@lru_cache(maxsize=32)  # the texts of a question are the same for every essay
def _runs_of(*texts: str) -> frozenset[tuple[str, ...]]:
    return frozenset(run for text in texts for run in _runs(_words(text)))


def rubric_texts(rubric: EssayRubric) -> list[str]:
    """Return the texts of the rubric: labelled answers, criterion descriptions and descriptors."""
    descriptors = [level.descriptor for criterion in rubric.criteria for level in criterion.levels]
    return [*(anchor.text for anchor in rubric.anchors), *(each.description for each in rubric.criteria), *descriptors]


def _is_shuffled_rubric(words: Sequence[str], prompt: str, rubric: EssayRubric) -> bool:
    highest = " ".join(criterion.levels[-1].descriptor for criterion in rubric.criteria)
    vocabularies = _vocabularies(prompt, highest, *(anchor.text for anchor in rubric.anchors))
    return any(len(each.intersection(words)) >= PASTED_VOCABULARY * len(each) for each in vocabularies)


@lru_cache(maxsize=32)
def _vocabularies(prompt: str, *texts: str) -> tuple[frozenset[str], ...]:
    """Return the distinct long words of each text that are not in the prompt, for texts with enough such words."""
    known = set(_words(prompt))
    found = (frozenset(word for word in _words(text) if len(word) >= LONG_WORD and word not in known) for text in texts)
    return tuple(each for each in found if len(each) >= FEWEST_IN_VOCABULARY)


def _shared(words: Sequence[str], known: frozenset[tuple[str, ...]]) -> list[bool]:
    """Return for each word whether it is in a run of words in `known`."""
    shared = [False] * len(words)
    for start, run in enumerate(_runs(words)):
        if run in known:
            shared[start : start + RUN] = [True] * RUN
    return shared


def _said_before(words: Sequence[str]) -> list[bool]:
    """Return for each word whether it is in a run of words that occurred earlier in the text.

    Runs with numbers do not count, because lines of a log or a table often differ only in numbers.
    """
    seen: set[tuple[str, ...]] = set()
    repeated = [False] * len(words)
    for start, run in enumerate(_runs(words)):
        if run in seen and all(map(str.isalpha, run)):
            repeated[start : start + RUN] = [True] * RUN
        seen.add(run)
    return repeated
