"""What a language model's tokens cost, by a dated table."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

Dollars = Annotated[Decimal, Field(ge=0, le=1_000, allow_inf_nan=False)]

CENTS: Final = Decimal("0.000001")
"""Costs have six places, as they are stored."""

TABLE: Final = Path(__file__).with_name("model_prices.json")
_TOKENS_A_CENT: Final = Decimal(10_000)
"""Dollars for a million tokens, divided by this, are cents for one."""
_DATE: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class ModelPrice(BaseModel):
    """US dollars for a million tokens; without `cached_input`, cached tokens cost what others do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Dollars
    cached_input: Dollars | None = None
    output: Dollars

    @classmethod
    def find(cls, model: str, own: Mapping[str, Self]) -> Self | None:
        """The model's price in `own`, else in the table; a dated snapshot costs what its model does."""
        listed = json.loads(TABLE.read_text("utf-8"))["models"]
        prices = {name: cls.model_validate(price) for name, price in listed.items()} | dict(own)
        return prices.get(model) or prices.get(_DATE.sub("", model))

    def cents(self, *, prompt: int, cached: int = 0, completion: int) -> Decimal:
        """The cost of a call; `cached` tokens are part of `prompt` ones."""
        cached = min(cached, prompt)
        cached_price = self.input if self.cached_input is None else self.cached_input
        dollars = (prompt - cached) * self.input + cached * cached_price + completion * self.output
        return (dollars / _TOKENS_A_CENT).quantize(CENTS)
