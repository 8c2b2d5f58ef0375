"""The settings of the language model."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pydantic import ValidationError

from activities.adapters.openai.grader import OpenAIEssayGrader, OpenAISettings
from domain.errors import InvalidInput
from tests.support.model_server import KEY


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


def test_prices_come_from_the_environment(environment: Callable[..., None]) -> None:
    environment(OPENAI_PRICES='{"llama-4": {"input": 0.1, "output": "0.3"}}', OPENAI_MODEL="llama-4")

    assert OpenAISettings().prices["llama-4"].input == Decimal("0.1")


@pytest.mark.parametrize("key", ["", " \n"])
def test_an_empty_key_counts_as_no_key(environment: Callable[..., None], key: str) -> None:
    environment(OPENAI_API_KEY=key)

    assert OpenAISettings().api_key is None


def test_blanks_around_a_key_are_no_part_of_it(environment: Callable[..., None]) -> None:
    environment(OPENAI_API_KEY=f"{KEY}\n")

    key = OpenAISettings().api_key
    assert key is not None
    assert key.get_secret_value() == KEY


def test_a_key_that_fits_no_header_is_refused_without_being_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        OpenAISettings.model_validate({"api_key": "sk-sécret"})

    assert "sécret" not in str(refused.value)


def test_without_a_key_there_is_no_grader() -> None:
    with pytest.raises(InvalidInput):
        OpenAIEssayGrader(OpenAISettings(api_key=None))


def test_an_empty_address_is_the_default_one(environment: Callable[..., None]) -> None:
    environment(OPENAI_BASE_URL="")

    assert OpenAISettings().base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize("url", ["api.openai.com/v1", "ftp://models.example.org", "http://", "https:// "])
def test_an_invalid_address_is_rejected(url: str) -> None:
    with pytest.raises(ValidationError):
        OpenAISettings.model_validate({"base_url": url})


@pytest.mark.parametrize(
    ("base_url", "openai"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://API.OpenAI.com/v1", True),
        ("https://name.openai.azure.com/openai/v1", False),
        ("https://notopenai.com/v1", False),
        ("https://api.openai.com.example.org/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_openais_own_addresses_are_known(base_url: str, *, openai: bool) -> None:
    assert OpenAISettings(base_url=base_url).is_openai is openai
