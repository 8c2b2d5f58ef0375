"""Generate worst cases for functions that read a user's text, and check that their time grows linearly."""

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

SHORT: Final = 5_000
LONG: Final = 20_000
MOST_GROWTH: Final = 4.5
"""The highest allowed time ratio for a text of four times the length. A quadratic function has a ratio of sixteen."""
FLOOR_S: Final = 0.25
"""A long text that takes less time passes. No essay is longer, and below this the ratio measures processor caches."""
QUADRATIC_GROWTH: Final = 8
FEW_REPEATS: Final = 2
REPEATS: Final = 40
"""How many runs confirm a ratio between the two bounds (REPEATS) or above both (FEW_REPEATS)."""

UNITS: Final = (
    # words that the patterns contain
    *(
        "ignore ",
        "ignore all previous ",
        "ignore the ",
        "give me the highest ",
        "this answer ",
        "dear ",
        "note to the ",
    ),
    *("you are a ", "as the ", "end of the ", "kriter", "qwert ", "zxcvb ", "the for ", "error: ", "please\n"),
    # endless words and runs of digits
    *("a", "A", "aB", "é", "_", "1", "a1", "ß", "Σ", "a-", "a'", "a."),
    # characters that normalization expands, reorders or composes
    *("㌖", "ﷺ", "ﬃ", "\u0344\u0f73", "\uff9e\u0301", "\u0301\u0323", "a\u0301\u0323", "\u1100", "가"),
    # addresses, tokens and keys
    *("a@", "@", "a@b.", "a+", "eyJ-", "eyJa.", "sk-", "whsec_", "://", "://a:b", "Bearer "),
    # quotes, brackets and code
    *('"', "'", " '", "'a ", "“", "„", "«", "‘", "`", "```\n", "~~~\n```\n", "```a\n", "\\", '\\"'),
    *("{", "}", "[", "[1,", '{"a":', "}{", "<", "</", "<|im_start|>", "(", ";", "; ", "{ "),
    # blanks and punctuation
    *(
        " ",
        "\n",
        "\t",
        "\r",
        "\u3000",
        " \n",
        ". ",
        ".\n",
        ".",
        "!",
        "?!",
        "…",
        "。",
        ".a",
        "-",
        "--- ",
        "# ",
        "> ",
        "$ ",
    ),
    # other scripts and invisible characters
    *("数", "数据。", "สวัสดี", "한국어 ", "नमस्ते ", "مرحبا "),
    *("\u200b", "a\u200b", "\ufe0f", "a\ufe0f", "\U000e0041", "\U0001f3f4\U000e0067", "\u202e ", "\u200d\U0001f469"),
)
"""The units; each is repeated until the text is long enough."""
ENDING: Final = "x"
"""Endings. A pattern that matches a run only as a whole fails when another character ends the run."""
PAIRS: Final = 60
"""The number of texts whose halves repeat different units. The seed is fixed."""

Case: TypeAlias = Callable[[int], str]
"""A function that returns a text of the given length."""


def worst_cases() -> Iterator[Case]:
    for unit in UNITS:
        yield partial(_repeated, unit)
    pairs = random.Random(13)
    for _ in range(PAIRS):
        first, second = pairs.sample(UNITS, 2)
        yield partial(_halves, first, second)
    yield partial(_halves, "kriter", "㌖")


def slow_cases(function: Callable[[str], object], *, every: int = 1) -> list[str]:
    """Return the start of each worst case with more than linear time. Measure every `every`-th case only."""
    return [case(40) for case in islice(worst_cases(), 0, None, every) if not _is_linear(function, case)]


def _is_linear(function: Callable[[str], object], case: Case) -> bool:
    """Compare the best CPU time of several runs, so that other programs on the machine do not matter."""
    short = long = float("inf")
    for repeat in range(1, REPEATS + 1):
        long = min(long, _seconds(function, case(LONG)))
        if long < FLOOR_S:
            return True
        short = min(short, _seconds(function, case(SHORT)))
        if long <= MOST_GROWTH * short:
            return True
        if repeat >= FEW_REPEATS and long > QUADRATIC_GROWTH * short:
            return False
    return False


def _seconds(function: Callable[[str], object], text: str) -> float:
    gc.disable()  # a collection costs what the whole process has allocated, not what the function does
    tracer = sys.gettrace()
    sys.settrace(None)  # the measuring of coverage costs several times what the function does
    try:
        started = time.thread_time()
        function(text)
        return time.thread_time() - started
    finally:
        sys.settrace(tracer)
        gc.enable()


def _repeated(unit: str, length: int) -> str:
    return _run(unit, length - len(ENDING)) + ENDING


def _halves(first: str, second: str, length: int) -> str:
    return _run(first, length // 2) + _run(second, length - length // 2)


def _run(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]
