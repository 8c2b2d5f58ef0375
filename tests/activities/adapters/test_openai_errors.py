"""The domain error for every failure of a provider, through the real SDK and real HTTP, without sensitive data."""

import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple

import httpx2
import pytest
from openai import APITimeoutError
from structlog.testing import capture_logs

from activities.adapters.openai.errors import model_error
from activities.adapters.openai.grader import OpenAIEssayGrader
from domain.errors import (
    AppError,
    ExternalServiceError,
    ModelBusy,
    ModelKeyRefused,
    ModelQuotaExhausted,
    ModelRequestRefused,
    ModelTimeout,
    ModelUnavailable,
    ModelUnknown,
    TextTooLong,
)
from tests.activities.adapters.conftest import GraderOf
from tests.activities.adapters.grading_requests import TEXT, a_request, error_of
from tests.support.fake_completions import (
    BROKEN,
    DRIP,
    HANG,
    NO_CREDIT,
    NO_JSON,
    OVERLOADED,
    RESET,
    TOO_LONG,
    TOO_MANY,
    UNKNOWN_MODEL,
    WRONG_KEY,
    Answer,
    completion,
    refusal,
)
from tests.support.model_server import KEY, ModelServer

SHORT_S = 0.3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (WRONG_KEY, ModelKeyRefused),
        (refusal(403, "Your country is not supported."), ModelKeyRefused),
        (NO_CREDIT, ModelQuotaExhausted),
        (
            refusal(429, "You exceeded your quota.", code="project_spend_limit_exceeded", kind="insufficient_quota"),
            ModelQuotaExhausted,
        ),
        (refusal(402, "Insufficient balance"), ModelQuotaExhausted),
        (UNKNOWN_MODEL, ModelUnknown),
        (refusal(403, "The project has no access to the model.", code="model_not_found"), ModelUnknown),
        (refusal(400, "Model Not Exist"), ModelUnknown),
        (refusal(400, "llama-4 is not a valid model ID"), ModelUnknown),
        (Answer(status=404, body=b'{"error": "model \\"llama-4\\" not found, try pulling it first"}'), ModelUnknown),
        (Answer(status=404, body=b"<html>Not here</html>"), ModelUnknown),
        (TOO_LONG, TextTooLong),
        (refusal(400, "Invalid 'messages'."), ModelRequestRefused),
        (refusal(413, "Request too large."), TextTooLong),
        (Answer(status=307, headers={"location": "/v1/chat/completions"}), ModelRequestRefused),
        (
            Answer(status=422, body=b'{"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}'),
            ModelRequestRefused,
        ),
        (Answer(status=400, body=b"[" * 50_000), ModelRequestRefused),
        (Answer(status=400, body=b'{"error":' * 5_000), ModelRequestRefused),
        (
            Answer(status=400, body=b'{"error": {"code": [[]], "message": {}, "param": 3, "type": null}}'),
            ModelRequestRefused,
        ),
        (Answer(status=400, body=b'{"detail": ' + b"[" * 900 + b"]" * 900 + b"}"), ModelRequestRefused),
        (TOO_MANY, ModelUnavailable),
        (BROKEN, ModelUnavailable),
        (OVERLOADED, ModelUnavailable),
        (refusal(408, "Timeout."), ModelUnavailable),
        (refusal(409, "Conflict."), ModelUnavailable),
        (Answer(status=502, body=b"<html>Bad gateway</html>"), ModelUnavailable),
        (RESET, ModelUnavailable),
    ],
)
async def test_every_failure_has_its_kind_and_is_met_once(
    server: ModelServer, grader: OpenAIEssayGrader, answer: Answer, kind: type[AppError]
) -> None:
    server.script(answer)

    assert type(await error_of(grader)) is kind
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [HANG, DRIP])
async def test_the_deadline_ends_a_call_that_hangs_or_sends_slowly(
    server: ModelServer, grader_of: GraderOf, answer: Answer
) -> None:
    server.script(answer)

    assert type(await error_of(grader_of(timeout_s=SHORT_S))) is ModelTimeout


async def test_an_endpoint_that_accepts_no_connection_is_unavailable(
    server: ModelServer, grader: OpenAIEssayGrader
) -> None:
    server.refuse_connections()

    assert type(await error_of(grader)) is ModelUnavailable


def test_a_connection_that_takes_too_long_to_make_cannot_have_been_paid() -> None:
    error = APITimeoutError(httpx2.Request("POST", "https://models.example.org"))
    error.__cause__ = httpx2.ConnectTimeout("")

    assert type(model_error(error)) is ModelUnavailable


async def test_connections_that_broke_while_idle_do_not_matter(server: ModelServer, grader: OpenAIEssayGrader) -> None:
    await grader.complete(a_request())
    server.refuse_connections()
    server.accept_connections()

    assert (await grader.complete(a_request())).raw


async def test_a_wrong_key_and_an_unknown_model_are_told_apart(grader_of: GraderOf) -> None:
    assert type(await error_of(grader_of(api_key="sk-other"))) is ModelKeyRefused
    assert type(await error_of(grader_of(model="gpt-none"))) is ModelUnknown


LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"


class Wait(NamedTuple):
    """The wait that the provider asks for and the resulting `retry_after_s`."""

    headers: dict[str, str]
    kind: type[ExternalServiceError]
    least: float
    most: float


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "wait",
    [
        Wait({"retry_after": "7"}, ModelUnavailable, 7, 7),
        Wait({"retry_after": "60"}, ModelUnavailable, 60, 60),
        Wait({"retry_after": "61"}, ModelBusy, 61, 61),
        Wait({"retry_after": "1e9"}, ModelBusy, 86_400, 86_400),
        Wait({"retry_after": "-5"}, ModelUnavailable, 0, 0),
        Wait({"retry_after": LONG_AGO}, ModelUnavailable, 0, 0),
        Wait({"retry_after_ms": "1500", "retry_after": "2"}, ModelUnavailable, 1.5, 1.5),
        Wait({"retry_after_ms": "120000"}, ModelBusy, 120, 120),
        Wait({"retry_after_ms": "soon", "retry_after": "2"}, ModelUnavailable, 2, 2),
    ],
)
async def test_the_wait_that_the_provider_asks_for_is_returned(
    server: ModelServer, grader: OpenAIEssayGrader, status: int, wait: Wait
) -> None:
    server.script(refusal(status, "Later.", **wait.headers))

    error = await error_of(grader)

    assert type(error) is wait.kind
    assert isinstance(error, ExternalServiceError)
    assert error.retry_after_s is not None
    assert wait.least <= error.retry_after_s <= wait.most


async def test_the_provider_may_ask_for_a_wait_by_date(server: ModelServer, grader: OpenAIEssayGrader) -> None:
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(hours=12), usegmt=True)
    server.script(refusal(429, "Later.", retry_after=tomorrow))

    error = await error_of(grader)

    assert isinstance(error, ModelBusy)
    assert error.retry_after_s is not None
    assert 60 < error.retry_after_s <= 12 * 3_600


@pytest.mark.parametrize("value", ["NaN", "soon", "", "2026", "Wed, 99 Foo 2015"])
async def test_an_invalid_wait_is_ignored_and_a_long_one_is_limited_to_a_day(
    server: ModelServer, grader: OpenAIEssayGrader, value: str
) -> None:
    server.script(refusal(429, "Later.", retry_after=value))

    error = await error_of(grader)

    assert isinstance(error, ModelUnavailable | ModelBusy)
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 86_400


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, f"Invalid content: {TEXT} {KEY}"),
        refusal(500, f"Could not handle: {TEXT} {KEY}"),
        refusal(401, f"Incorrect API key provided: {KEY}"),
        RESET,
        HANG,
        NO_JSON,
        completion(TEXT),
        None,
    ],
)
async def test_neither_key_nor_essay_leaves_in_errors_or_logs(
    server: ModelServer, grader_of: GraderOf, caplog: pytest.LogCaptureFixture, answer: Answer | None
) -> None:
    caplog.set_level(logging.DEBUG)
    if answer is None:
        server.refuse_connections()
    else:
        server.script(answer)
    shown = []

    with capture_logs() as events:
        grader = grader_of(timeout_s=SHORT_S)
        try:
            shown.append(repr(grader.read((await grader.complete(a_request())).raw)))
        except AppError as error:
            shown += ["".join(traceback.format_exception(error)), repr(vars(error))]

    printed = "\n".join([*shown, str(events), caplog.text])
    assert TEXT not in printed
    assert KEY not in printed
