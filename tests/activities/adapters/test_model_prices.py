"""Exact costs of tokens, from a dated table or the deployment's own prices."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from activities.adapters.openai.model_prices import TABLE, ModelPrice

PRICE = ModelPrice(input=Decimal("0.75"), cached_input=Decimal("0.075"), output=Decimal("4.50"))
TOKENS = st.integers(min_value=0, max_value=10_000_000)


def test_a_call_costs_what_its_tokens_do() -> None:
    assert PRICE.cents(prompt=10_000, cached=4_000, completion=1_000) == Decimal("0.93")


def test_costs_are_exact_to_six_places_of_a_cent() -> None:
    assert str(PRICE.cents(prompt=1, completion=0)) == "0.000075"


def test_without_a_price_of_their_own_cached_tokens_cost_what_others_do() -> None:
    price = ModelPrice(input=Decimal("0.50"), output=Decimal("1.50"))

    assert price.cents(prompt=1_000, cached=1_000, completion=0) == price.cents(prompt=1_000, completion=0)


@given(prompt=TOKENS, cached=TOKENS, completion=TOKENS)
def test_no_call_costs_less_than_nothing_or_more_than_without_the_cache(
    prompt: int, cached: int, completion: int
) -> None:
    cents = PRICE.cents(prompt=prompt, cached=cached, completion=completion)

    assert 0 <= cents <= PRICE.cents(prompt=prompt, completion=completion)


def test_the_default_model_has_a_price() -> None:
    assert ModelPrice.find("gpt-5.4-mini", {}) == PRICE


def test_a_dated_snapshot_costs_what_its_model_does() -> None:
    assert ModelPrice.find("gpt-5.4-mini-2026-03-17", {}) == PRICE


@pytest.mark.parametrize("model", ["llama-4", "gpt-5.4-mini-ultra", "gpt-5.4-mini-2026", "", "openai/gpt-5.4-mini"])
def test_an_unlisted_model_has_no_price(model: str) -> None:
    assert ModelPrice.find(model, {}) is None


def test_the_deployments_own_prices_come_first() -> None:
    own = ModelPrice(input=Decimal(1), output=Decimal(2))

    assert ModelPrice.find("gpt-5.4-mini", {"gpt-5.4-mini": own}) == own
    assert ModelPrice.find("llama-4", {"llama-4": own}) == own


def test_every_price_in_the_table_is_valid_and_the_table_has_a_date() -> None:
    table = json.loads(TABLE.read_text("utf-8"))

    assert date.fromisoformat(table["as_of"]) > date(2026, 1, 1)
    assert all(ModelPrice.find(model, {}) for model in table["models"])


@pytest.mark.parametrize("dollars", ["-1", "NaN", "Infinity", "5000"])
def test_an_invalid_price_is_rejected(dollars: str) -> None:
    with pytest.raises(ValidationError):
        ModelPrice.model_validate({"input": dollars, "output": "1"})
