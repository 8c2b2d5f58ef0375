"""Functions that read an essay take linear time for any text."""

from collections.abc import Callable

import pytest

from domain.assessments.answers import check_answer
from domain.assessments.questions import AnswerFormat, QuestionKind
from domain.grading.essay_text import gradable_text, sanitize, still_answers, text_flags
from domain.grading.padding import without_padding
from domain.grading.rubrics import verify_quotes, without_quotes
from tests.domain.builders import essay
from tests.support.growth import slow_cases

RUBRIC = essay()
PROMPT = "Why did revenue fall, and what do you do about it by noon?"
TEXT_ANSWER = AnswerFormat(kind=QuestionKind.TEXT)


@pytest.mark.parametrize(
    "function",
    [
        sanitize,
        lambda text: text_flags(text, PROMPT, RUBRIC),
        lambda text: gradable_text(text, PROMPT, RUBRIC),
        lambda text: still_answers(text, text, RUBRIC),
        lambda text: without_padding(text, [text, text[::2], PROMPT, PROMPT]),
        lambda text: verify_quotes(text, [text[:2_000], text[-2_000:], "word for word"]),
        lambda text: without_quotes(text, [text[:2_000], text[-20:], "word for word"]),
        lambda text: check_answer(TEXT_ANSWER, f"a{text}"[:20_000]),
    ],
    ids=[
        "sanitize",
        "text_flags",
        "gradable_text",
        "still_answers",
        "without_padding",
        "verify_quotes",
        "without_quotes",
        "check_answer",
    ],
)
def test_time_grows_with_the_length_of_the_text(function: Callable[[str], object]) -> None:
    assert slow_cases(function) == []
