"""The text of an essay: sanitized for a grader, and checked for what was not written to answer the question."""

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
"""The flags that say something about an answer's substance. The others are patterns, and call for a review only."""

RUN: Final = 8
"""Words in a row that two texts rarely share by chance; what is less is no copy."""
COPIED_SHARE: Final = 0.2
"""Of the answer, from the prompt: the labelled answers copy nothing, those who quote a sentence of it copy less."""
PASTED_WORDS: Final = 14
"""From the rubric. The project's labelled answers share at most 13 such words with another or with a descriptor."""
PASTED_VOCABULARY: Final = 0.7
FEWEST_IN_VOCABULARY: Final = 12
LONG_WORD: Final = 4
"""The share of distinct long words of the highest levels, or of a labelled answer, that an answer holds in any order,
where there are that many beside the question's. No labelled answer holds more than half of another's."""
REPEATED_SHARE: Final = 0.05
"""Of the answer, said before in its prose; code repeats. The labelled answers repeat nothing."""
USUAL_FEWEST_WORDS: Final = 3
MOST_FEWEST_WORDS: Final = 10
"""How many words an answer needs where no labelled answer says it, and the most that is ever asked for."""

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
"""Unicode's Default_Ignorable_Code_Point, and what has no meaning of its own: surrogates and private use."""
_BREAK: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BLANK: Final = re.compile("[^\\S\n]|[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\u2800]")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_WORD: Final = re.compile(r"[^\W_]+")


def sanitize(text: str) -> str:
    """The text for a grader: no invisible characters, newlines for breaks, spaces for controls, few marks in a row."""
    return limit_marks(_BLANK.sub(" ", _BREAK.sub("\n", _INVISIBLE.sub("", text))))


def text_flags(text: str, prompt: str, rubric: EssayRubric, labelled: Sequence[Anchor] = ()) -> tuple[str, ...]:
    """The flags of an answer to `prompt`, of TEXT_FLAGS in their order; most answers have none.

    `labelled` are scored answers in addition to the rubric's own; they show how short an answer may be.
    """
    body = sanitize(text)
    words = _words(body)
    question = _runs_of(prompt)
    found = {
        HIDDEN_CHARACTERS: has_hidden_characters(text),
        ADDRESSED_TO_GRADER: has_injection(body),
        GIBBERISH: is_gibberish(body),
        COPIED_PROMPT: sum(_shared(words, question)) > COPIED_SHARE * len(words),
        PASTED_RUBRIC: sum(_shared(words, _runs_of(*_rubric_texts(rubric)) - question)) >= PASTED_WORDS
        or _is_shuffled_rubric(words, prompt, rubric),
        REPEATED: sum(_said_before(_words(prose(body)))) > REPEATED_SHARE * len(words),
        TOO_SHORT: is_too_short(body, rubric, labelled),
    }
    return tuple(flag for flag in TEXT_FLAGS if found[flag])


def is_too_short(text: str, rubric: EssayRubric, labelled: Sequence[Anchor] = ()) -> bool:
    """Whether it has less than a third of the words of the shortest labelled answer that earned something."""
    earned = _earning_words(rubric, labelled)
    fewest = min(MOST_FEWEST_WORDS, -(-min(earned) // 3)) if earned else USUAL_FEWEST_WORDS
    return _count_words(text) < fewest


def still_answers(left: str, text: str, rubric: EssayRubric, labelled: Sequence[Anchor] = ()) -> bool:
    """Whether `left`, a part of an answer's text, is enough of it to be graded in its place.

    It has half of the text's words, or as many as the shortest labelled answer that earned something.
    """
    fewest = min([_count_words(text) / 2, *_earning_words(rubric, labelled)])
    return not is_too_short(left, rubric, labelled) and _count_words(left) >= fewest


def gradable_text(text: str, prompt: str, rubric: EssayRubric) -> str:
    """The sentences that can earn points: neither copied from the prompt or the rubric, nor said before.

    Returns "" when the text is the rubric's vocabulary in a different order.
    """
    parts = sentences(sanitize(text))
    words = [_words(part) for part in parts]
    said = [word for part in words for word in part]
    known = _runs_of(prompt) | _runs_of(*_rubric_texts(rubric))
    worthless = list(map(or_, _shared(said, known), _said_before(said)))
    if _is_shuffled_rubric([word for word, drop in zip(said, worthless, strict=True) if not drop], prompt, rubric):
        return ""
    in_turn = iter(worthless)
    empty = [2 * sum(islice(in_turn, len(each))) > len(each) for each in words]
    return "".join(part for part, drop in zip(parts, empty, strict=True) if not drop).strip()


def sentences(text: str) -> list[str]:
    """The text cut after sentences and at newlines; joined, the parts are the text."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [part for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if (part := text[start:end])]


def _earning_words(rubric: EssayRubric, labelled: Sequence[Anchor]) -> list[int]:
    """The number of words of each labelled answer that earned something."""
    lowest = {criterion.key: criterion.levels[0].name for criterion in rubric.criteria}
    return [_word_count(each.text) for each in (*rubric.anchors, *labelled) if dict(each.levels) != lowest]


def _words(text: str) -> list[str]:
    return _WORD.findall(nfkc(text).casefold())


@lru_cache(maxsize=1024)  # labelled answers are counted for every essay
def _word_count(text: str) -> int:
    return _count_words(text)


def _count_words(text: str) -> int:
    """The number of words; in scripts without spaces, two Han characters or four others count as a word."""
    return len(_words(text)) + (latin_length(text) - len(text)) // 4


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


@lru_cache(maxsize=32)  # a question's own texts are the same for every essay
def _runs_of(*texts: str) -> frozenset[tuple[str, ...]]:
    return frozenset(run for text in texts for run in _runs(_words(text)))


def _rubric_texts(rubric: EssayRubric) -> list[str]:
    """The parts of the rubric that students are not shown while they answer, and its descriptors."""
    descriptors = [level.descriptor for criterion in rubric.criteria for level in criterion.levels]
    return [*(anchor.text for anchor in rubric.anchors), *(each.description for each in rubric.criteria), *descriptors]


def _is_shuffled_rubric(words: Sequence[str], prompt: str, rubric: EssayRubric) -> bool:
    highest = " ".join(criterion.levels[-1].descriptor for criterion in rubric.criteria)
    vocabularies = _vocabularies(prompt, highest, *(anchor.text for anchor in rubric.anchors))
    return any(len(each.intersection(words)) >= PASTED_VOCABULARY * len(each) for each in vocabularies)


@lru_cache(maxsize=32)
def _vocabularies(prompt: str, *texts: str) -> tuple[frozenset[str], ...]:
    """The distinct long words of each text that the prompt does not have, of texts with enough of them."""
    known = set(_words(prompt))
    found = (frozenset(word for word in _words(text) if len(word) >= LONG_WORD and word not in known) for text in texts)
    return tuple(each for each in found if len(each) >= FEWEST_IN_VOCABULARY)


def _shared(words: Sequence[str], known: frozenset[tuple[str, ...]]) -> list[bool]:
    """For each word whether it is in a run of words that `known` has too."""
    shared = [False] * len(words)
    for start, run in enumerate(_runs(words)):
        if run in known:
            shared[start : start + RUN] = [True] * RUN
    return shared


def _said_before(words: Sequence[str]) -> list[bool]:
    """For each word whether it is in a run of words that occurred earlier in the text.

    Runs with numbers do not count: lines of a log or a table differ in little else.
    """
    seen: set[tuple[str, ...]] = set()
    repeated = [False] * len(words)
    for start, run in enumerate(_runs(words)):
        if run in seen and all(map(str.isalpha, run)):
            repeated[start : start + RUN] = [True] * RUN
        seen.add(run)
    return repeated
