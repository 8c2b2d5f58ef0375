"""The ledger of paid model calls: keys, replies, reservations, costs and spending limits."""

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID, uuid4

from domain.grading.model_grading import Call
from domain.ids import content_hash, derived_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionKey:
    """The key of a model call, which is paid for once. Healing increases `epoch` to repeat rejected calls.

    `rubric_version` and `prompt_version` are content hashes, so a changed rubric or prompt has other keys. `examples`
    are the reviews whose answers the prompt shows; other examples have other keys.
    """

    assessment_id: UUID
    snapshot_id: UUID
    rubric_version: str
    prompt_version: str
    model: str
    epoch: int
    call: Call
    examples: tuple[UUID, ...] = ()

    @property
    def prompt_hash(self) -> str:
        """The hash of the prompt with its examples. Without examples it is `prompt_version`."""
        return content_hash([self.prompt_version, self.examples]) if self.examples else self.prompt_version

    @property
    def choice_id(self) -> UUID:
        """The id of the choice of examples, which is the same for all calls."""
        parts = (self.rubric_version, self.prompt_version, self.model, self.epoch)
        return derived_id("examples", self.assessment_id, self.snapshot_id, *parts)

    @property
    def id(self) -> UUID:
        parts = (self.rubric_version, self.prompt_hash, self.model, self.epoch, *self.call)
        return derived_id("answer", self.assessment_id, self.snapshot_id, *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A provider's raw reply and its cost. `id` is unique to the reply, so that storing it again books it once.

    None means: the reply does not have the token count, or the price is unknown. `prompt_tokens` include
    `cached_tokens`.
    """

    raw: bytes
    request_id: str | None
    latency_ms: int
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    cost_cents: Decimal | None
    id: UUID = field(default_factory=uuid4, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimits:
    """Limits per UTC day; None: no limit. `attempts_per_day` counts a student's submitted assessments of a role."""

    attempts_per_day: int | None = None
    budget_cents_per_day: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A claim on a model call before it is made. For `lease_s` seconds no other attempt can make the call.

    `highest_price_cents` is reserved from the organization's budget until the actual price is known.
    """

    key: CompletionKey
    lease_s: float
    highest_price_cents: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingPurchase:
    """The cost of a paid request for embeddings. `id` is unique to the request.

    None means: the reply does not have the token count, or the price is unknown.
    """

    id: UUID
    provider: str
    model: str
    texts: int
    tokens: int | None
    cost_cents: Decimal | None
    request_id: str | None
