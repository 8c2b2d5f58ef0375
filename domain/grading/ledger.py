"""The ledger of model answers: what was asked for, what was paid, and what may still be spent."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from domain.grading.model_grading import Call
from domain.ids import derived_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionKey:
    """What an answer is bought for, once. The epoch moves when rejected answers are to be bought anew by healing.

    `rubric_version` and `prompt_version` are content hashes: another rubric or prompt asks another question.
    """

    assessment_id: UUID
    snapshot_id: UUID
    rubric_version: str
    prompt_version: str
    model: str
    epoch: int
    call: Call

    @property
    def id(self) -> UUID:
        parts = (self.rubric_version, self.prompt_version, self.model, self.epoch, *self.call)
        return derived_id("answer", self.assessment_id, self.snapshot_id, *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A provider's reply, raw, with what it cost.

    Tokens are None where the reply does not tell them; `cached_tokens` are part of `prompt_tokens`. `cost_cents` is
    None where nobody knows the price.
    """

    raw: bytes
    request_id: str | None
    latency_ms: int
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    cost_cents: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimits:
    """None is no limit. Days are UTC. `attempts_per_day`: submitted assessments of a student at a role."""

    attempts_per_day: int | None = None
    budget_cents_per_day: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call about to be made: nobody else makes it for `lease_s` seconds.

    `highest_price_cents` is reserved from the organization's budget until the real price is known.
    """

    key: CompletionKey
    lease_s: float
    highest_price_cents: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingPurchase:
    """What one paid request for vectors cost; `id` is that of the purchase, and nobody else's.

    `tokens` is None where the reply does not tell them, `cost_cents` where nobody knows the price.
    """

    id: UUID
    provider: str
    model: str
    texts: int
    tokens: int | None
    cost_cents: Decimal | None
    request_id: str | None
