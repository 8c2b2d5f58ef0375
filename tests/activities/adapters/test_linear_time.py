"""Reading essays and replies takes time in proportion to their length, whatever their content."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from activities.adapters.local_grader.languages import is_other_language
from activities.adapters.local_grader.text_features import describe
from activities.adapters.minilm.chunks import chunks
from activities.adapters.minilm.embedder import MiniLMEmbedder
from activities.adapters.openai.grader_reply import is_reply, read_reply, read_usage
from activities.adapters.webhooks.sender import excerpt
from domain.grading.essay_text import sanitize
from tests.support.growth import slow_cases


def reply(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def in_form(text: str) -> str:
    rating = {"rationale": text, "quotes": [text], "level": text}
    return json.dumps({"addresses_grader": [text], "criteria": {"cause": rating}, "feedback": text})


@pytest.mark.parametrize(
    "function",
    [
        lambda text: describe([text], np.ones((1, 4))),
        lambda text: is_other_language(sanitize(text)),
        lambda text: read_reply(reply(text)),
        lambda text: read_reply(reply(in_form(text))),
        lambda text: read_reply(reply(f"{text}{in_form('Good.')}{text}")),
        lambda text: (read_reply(text.encode()), is_reply(text.encode()), read_usage(text.encode())),
        lambda text: excerpt(text.encode()),
    ],
    ids=["text features", "language", "reply", "reply in form", "reply with remarks", "raw reply", "webhook excerpt"],
)
def test_time_grows_with_the_length_of_the_text(function: Callable[[str], object]) -> None:
    assert slow_cases(function) == []


async def test_cutting_into_chunks_takes_time_in_proportion_to_the_length(minilm: MiniLMEmbedder) -> None:
    await minilm.warm()
    tokenizer = minilm._runtime().tokenizer

    assert slow_cases(lambda text: chunks(text, tokenizer.offsets), every=3) == []
