"""The contract of every GradingModel, fake or real."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.adapters.openai.grader import OpenAIEssayGrader, OpenAISettings
from domain.errors import ModelUnavailable, Problem
from domain.grading.model_grading import Accepted, Grading, Rejected, Unreadable, validate_reply
from domain.grading.ports import GradingModel
from tests.activities.adapters.grading_requests import a_request
from tests.support.fake_completions import OVERLOADED
from tests.support.fake_graders import FakeGradingModel
from tests.support.model_server import KEY, ModelServer


@pytest.fixture(params=["fake", "openai"])
async def model(request: pytest.FixtureRequest) -> AsyncIterator[GradingModel]:
    if request.param == "fake":
        yield FakeGradingModel()
        return
    with ModelServer() as server:
        adapter = OpenAIEssayGrader(OpenAISettings(api_key=KEY, base_url=server.base_url))
        yield adapter
        await adapter.close()


@pytest.fixture(params=["fake", "openai"])
async def failing(request: pytest.FixtureRequest) -> AsyncIterator[GradingModel]:
    """Fail once, like an overloaded provider."""
    if request.param == "fake":
        yield FakeGradingModel(ModelUnavailable("Overloaded"))
        return
    with ModelServer() as server:
        server.script(OVERLOADED)
        adapter = OpenAIEssayGrader(OpenAISettings(api_key=KEY, base_url=server.base_url))
        yield adapter
        await adapter.close()


async def test_an_answer_is_valid_for_the_rubric_and_the_essay(model: GradingModel) -> None:
    wanted = a_request()

    reply = model.read((await model.complete(wanted)).raw)

    assert isinstance(validate_reply(wanted.essay.rubric, wanted.text, reply), Accepted)


async def test_a_corrective_question_is_answered_too(model: GradingModel) -> None:
    wanted = a_request(rejected=Rejected(problems=(Problem("cause", "needs a level"),)))

    assert isinstance(model.read((await model.complete(wanted)).raw), Grading)


async def test_an_answer_costs_at_most_the_reserved_price(model: GradingModel) -> None:
    wanted = a_request()
    highest = model.highest_price_cents(wanted)

    bought = await model.complete(wanted)

    assert highest is not None
    assert bought.cost_cents is not None
    assert Decimal(0) < bought.cost_cents <= highest


async def test_an_answer_contains_its_latency_and_tokens(model: GradingModel) -> None:
    bought = await model.complete(a_request())

    assert bought.request_id
    assert bought.latency_ms >= 0
    assert bought.prompt_tokens
    assert bought.completion_tokens
    assert bought.cached_tokens is not None
    assert bought.cached_tokens <= bought.prompt_tokens


async def test_a_stored_reply_reads_the_same_again(model: GradingModel) -> None:
    raw = (await model.complete(a_request())).raw

    assert model.read(raw) == model.read(bytes(raw))


async def test_after_a_failure_it_can_be_asked_again(failing: GradingModel) -> None:
    with pytest.raises(ModelUnavailable):
        await failing.complete(a_request())

    assert isinstance(failing.read((await failing.complete(a_request())).raw), Grading)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200))
async def test_no_bytes_make_reading_fail(model: GradingModel, raw: bytes) -> None:
    assert isinstance(model.read(raw), Grading | Unreadable)


def test_versions_fit_their_columns(model: GradingModel) -> None:
    assert len(model.prompt_version) == 64
    assert 0 < len(model.model) <= 128
