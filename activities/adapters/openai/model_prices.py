"""The prices of language models, from a dated table."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

Dollars = Annotated[Decimal, Field(ge=0, le=1_000, allow_inf_nan=False)]

CENTS: Final = Decimal("0.000001")
"""The precision of costs, which are stored with six decimal places."""

TABLE: Final = Path(__file__).with_name("model_prices.json")
_TOKENS_A_CENT: Final = Decimal(10_000)
"""The divisor from dollars per million tokens to cents per token."""
_DATE: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class ModelPrice(BaseModel):
    """US dollars per million tokens. Without `cached_input`, cached tokens cost the same as others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Dollars
    cached_input: Dollars | None = None
    output: Dollars

    @classmethod
    def find(cls, model: str, own: Mapping[str, Self]) -> Self | None:
        """Return the model's price in `own`, else in the table; a dated snapshot has the price of its model."""
        listed = json.loads(TABLE.read_text("utf-8"))["models"]
        prices = {name: cls.model_validate(price) for name, price in listed.items()} | dict(own)
        return prices.get(model) or prices.get(_DATE.sub("", model))

    def cents(self, *, prompt: int, cached: int = 0, completion: int) -> Decimal:
        """Return the cost of a call; `cached` tokens are part of `prompt`."""
        cached = min(cached, prompt)
        cached_price = self.input if self.cached_input is None else self.cached_input
        dollars = (prompt - cached) * self.input + cached * cached_price + completion * self.output
        return (dollars / _TOKENS_A_CENT).quantize(CENTS)
