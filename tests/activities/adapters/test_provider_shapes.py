"""Each provider's recorded failures, replies and vectors, through the real SDK and real HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.openai.grader_reply import Usage, read_usage
from domain import errors
from domain.errors import ExternalServiceError
from domain.grading.model_grading import Grading, Unreadable
from tests.activities.adapters.conftest import EmbedderOf, GraderOf
from tests.activities.adapters.grading_requests import a_request, error_of
from tests.activities.adapters.provider_shapes import GRADING, providers, shapes
from tests.support.fake_completions import Answer, completion
from tests.support.fake_search import RecordingLedger, bag_of_words
from tests.support.model_server import ModelServer

TEXTS = ("first text", "second text", "third text")


def answer(shape: dict[str, Any]) -> Answer:
    return Answer(status=shape["status"], headers=shape.get("headers", {}), body=json.dumps(shape["body"]).encode())


@pytest.mark.parametrize("shape", shapes("failures"))
async def test_a_failure_has_its_kind(server: ModelServer, grader_of: GraderOf, shape: dict[str, Any]) -> None:
    server.script(answer(shape))

    error = await error_of(grader_of())

    assert type(error) is getattr(errors, shape["becomes"])
    assert isinstance(error, ExternalServiceError)
    assert error.retry_after_s == shape.get("retry_after_s")
    assert len(server.asked) == 1


@pytest.mark.parametrize("shape", shapes("options"))
async def test_a_refused_option_is_the_only_one_left_out(
    server: ModelServer, grader_of: GraderOf, shape: dict[str, Any]
) -> None:
    grader = grader_of(temperature=0.2, seed=7, reasoning_effort="low")
    server.script(answer(shape))

    reply = grader.read((await grader.complete(a_request())).raw)

    assert isinstance(reply, Grading)
    assert options_of(server.asked[0].json) - options_of(server.asked[1].json) == {shape["option"]}


def options_of(request: dict[str, Any]) -> set[str]:
    """The options of a request; the format of the reply by its type."""
    return {request["response_format"]["type"] if name == "response_format" else name for name in request}


@pytest.mark.parametrize("shape", shapes("replies"))
async def test_a_complete_reply_is_read_and_its_tokens_are_counted(
    server: ModelServer, grader_of: GraderOf, shape: dict[str, Any]
) -> None:
    grader = grader_of()
    server.script(completion(json.dumps(GRADING)), Answer(body=json.dumps(shape["body"]).encode()))
    expected = grader.read((await grader.complete(a_request())).raw)

    bought = await grader.complete(a_request())

    assert isinstance(expected, Grading)
    assert grader.read(bought.raw) == expected
    assert read_usage(bought.raw) == Usage(prompt=shape["prompt"], completion=shape["completion"])


@pytest.mark.parametrize("shape", shapes("withheld"))
async def test_a_reply_that_the_provider_withholds_is_marked(
    server: ModelServer, grader_of: GraderOf, shape: dict[str, Any]
) -> None:
    grader = grader_of()
    server.script(Answer(body=json.dumps(shape["body"]).encode()))

    reply = grader.read((await grader.complete(a_request())).raw)

    assert isinstance(reply, Unreadable)
    assert reply.withheld


@pytest.mark.parametrize("shape", shapes("vectors"))
async def test_every_text_gets_its_vector(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger, shape: dict[str, Any]
) -> None:
    server.script(*(vectors_of(step) for step in shape["steps"]))

    made = await embedder_of().embed(TEXTS)

    assert made == [pytest.approx(bag_of_words(text)) for text in TEXTS]
    assert len(server.asked) == len(shape["steps"])
    assert sum(bought.texts for bought in ledger.purchases) == len(TEXTS)
    for step, asked in zip(shape["steps"], server.asked, strict=True):
        assert {*step.get("without", [])}.isdisjoint(asked.json)


def vectors_of(step: dict[str, Any]) -> Answer:
    """The recorded response; a vector is named by the position of its text."""
    if "body" in step:
        return answer(step)
    rows = step.get("data", [{"index": place, "vector": text} for place, text in enumerate(step.get("texts", []))])
    data = [
        {name: each for name, each in row.items() if name != "vector"}
        | {"embedding": bag_of_words(TEXTS[row["vector"]])}
        for row in rows
    ]
    return Answer(body=json.dumps({"object": "list", "data": data, "usage": step.get("usage")}).encode())


@pytest.mark.parametrize("provider", providers())
def test_the_documentation_names_the_provider(provider: str) -> None:
    assert provider in Path("docs/models.md").read_text("utf-8")
