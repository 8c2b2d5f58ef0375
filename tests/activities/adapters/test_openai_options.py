"""Options that an endpoint does not support are detected without a cost and not sent again."""

import asyncio

import pytest

from domain.errors import ModelRequestRefused
from domain.grading.model_grading import Grading
from tests.activities.adapters.conftest import GraderOf
from tests.activities.adapters.grading_requests import a_request, error_of
from tests.domain.builders import criterion, essay
from tests.support.fake_completions import NO_CREDIT, TOO_LONG, WRONG_KEY, Answer, refusal, without
from tests.support.model_server import ModelServer


@pytest.mark.parametrize(
    ("refused", "form"),
    [
        (("json_schema",), {"type": "json_object"}),
        (("json_schema", "json_object"), None),
    ],
)
async def test_a_schema_that_is_refused_is_not_sent_again(
    server: ModelServer, grader_of: GraderOf, refused: tuple[str, ...], form: dict[str, str] | None
) -> None:
    grader = grader_of()
    server.rule = without(*refused)

    for _ in range(2):
        assert isinstance(grader.read((await grader.complete(a_request())).raw), Grading)

    assert len(server.asked) == len(refused) + 2
    assert server.asked[-1].json.get("response_format") == form


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (
            refusal(
                400,
                "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
                param="response_format",
            ),
            {"type": "json_object"},
        ),
        (
            refusal(400, "Invalid schema for response_format 'grading'.", param="response_format"),
            {"type": "json_object"},
        ),
        (Answer(status=400, body=b"{\"error\": \"'response_format.type' must be 'text'\"}"), {"type": "json_object"}),
        (
            Answer(
                status=422,
                body=b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"],'
                b' "msg": "Extra inputs are not permitted"}]}',
            ),
            {"type": "json_object"},
        ),
    ],
)
async def test_compatible_servers_refuse_a_schema_in_their_own_words(
    server: ModelServer, grader_of: GraderOf, answer: Answer, form: dict[str, str]
) -> None:
    grader = grader_of()
    server.script(answer)

    await grader.complete(a_request())

    assert server.asked[-1].json["response_format"] == form


@pytest.mark.parametrize("name", ["temperature", "seed", "reasoning_effort"])
async def test_a_setting_that_is_refused_is_not_sent_again(server: ModelServer, grader_of: GraderOf, name: str) -> None:
    grader = grader_of(temperature=0.2, seed=7, reasoning_effort="low")
    server.rule = without(name)

    for _ in range(2):
        await grader.complete(a_request())

    assert len(server.asked) == 3
    assert {"temperature", "seed", "reasoning_effort"} - {*server.asked[-1].json} == {name}


async def test_a_parameter_that_is_named_comes_before_what_the_message_mentions(
    server: ModelServer, grader_of: GraderOf
) -> None:
    grader = grader_of(temperature=0.2)
    server.script(refusal(400, "This value is not supported together with response_format.", param="temperature"))

    await grader.complete(a_request())

    assert "temperature" not in server.asked[1].json
    assert server.asked[1].json["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("answer", [TOO_LONG, WRONG_KEY, NO_CREDIT, refusal(400, "flagged", param="temperature")])
async def test_a_refusal_for_another_reason_drops_no_option(
    server: ModelServer, grader_of: GraderOf, answer: Answer
) -> None:
    grader = grader_of(temperature=0.2)
    server.script(answer)
    await error_of(grader)

    await grader.complete(a_request())

    assert {*server.asked[0].json} == {*server.asked[1].json}


async def test_a_limit_that_is_refused_is_sent_by_its_older_name(server: ModelServer, grader_of: GraderOf) -> None:
    grader = grader_of()
    server.rule = without("max_completion_tokens")

    await grader.complete(a_request())

    assert server.asked[-1].json["max_tokens"] == 4_096
    assert "max_completion_tokens" not in server.asked[-1].json


async def test_a_schema_that_is_refused_for_one_question_is_sent_for_others(
    server: ModelServer, grader_of: GraderOf
) -> None:
    grader = grader_of()
    other = a_request(rubric=essay(criterion("cause")))
    server.script(refusal(400, "Invalid schema for response_format 'grading'.", param="response_format"))
    await grader.complete(a_request())

    await grader.complete(other)
    await grader.complete(a_request())

    assert [asked.json["response_format"]["type"] for asked in server.asked] == [
        "json_schema",
        "json_object",
        "json_schema",
        "json_object",
    ]


async def test_concurrent_calls_share_a_refused_option(server: ModelServer, grader_of: GraderOf) -> None:
    grader = grader_of()
    server.rule = without("json_schema", "max_completion_tokens")

    bought = await asyncio.gather(*(grader.complete(a_request(name=str(place))) for place in range(10)))

    assert all(isinstance(grader.read(each.raw), Grading) for each in bought)


async def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(
    server: ModelServer, grader_of: GraderOf
) -> None:
    grader = grader_of()
    server.rule = lambda _: refusal(400, "Unsupported: response_format, max_tokens, max_completion_tokens.")

    assert type(await error_of(grader)) is ModelRequestRefused
    assert len(server.asked) == 3
