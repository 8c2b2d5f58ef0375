"""Partners' endpoints, and the log of what was sent to them."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from api.schemas.base import Id, Input, Moment, Output

MAX_URL_CHARS: Final = 2048
MAX_RATE: Final = 60_000

Subscribable: TypeAlias = Literal["assessment.completed", "assessment.failed", "assessment.updated"]
Sendable: TypeAlias = Literal["assessment.completed", "assessment.failed", "assessment.updated", "webhook.test"]
DeliveryStatus: TypeAlias = Literal["pending", "delivered", "dead_letter", "cancelled"]


def _distinct(types: list[str]) -> list[str]:
    if len(set(types)) != len(types):
        raise ValueError("must not name a type twice")
    return types


Url = Annotated[
    str,
    Field(
        max_length=MAX_URL_CHARS,
        description="https on the default port, a public address, no user info",
        examples=["https://partner.example/hooks/microcred"],
    ),
]
EventTypes = Annotated[
    list[Subscribable],
    Field(min_length=1, max_length=3, description="What is sent; `webhook.test` always is"),
    AfterValidator(_distinct),
]
Rate = Annotated[
    int | None, Field(ge=1, le=MAX_RATE, description="At most so many requests in a minute; null: as many as there are")
]


class EndpointRequest(Input):
    url: Url
    event_types: EventTypes
    enabled: bool = True
    rate_limit_per_minute: Rate = None


def _unchanged() -> Any:  # noqa: ANN401  # stands for any type, and is never read
    return None


class EndpointChange(Input):
    """What is not sent stays as it is; a rate limit of null takes the limit away."""

    url: Url = Field(default_factory=_unchanged)
    event_types: EventTypes = Field(default_factory=_unchanged)
    enabled: bool = Field(default_factory=_unchanged)
    rate_limit_per_minute: Rate = Field(default_factory=_unchanged)

    @model_validator(mode="after")
    def _holds_something(self) -> "EndpointChange":
        if not self.model_fields_set:
            raise ValueError("must hold a field to change")
        return self


class RecoverRequest(Input):
    since: Moment = Field(description="Events that happened at this time or later")
    until: Moment | None = Field(default=None, description="and before this one; absent: until now")

    @field_validator("until")
    @classmethod
    def _in_order(cls, until: datetime | None, others: ValidationInfo) -> datetime | None:
        if until is not None and "since" in others.data and until <= others.data["since"]:
            raise ValueError("must be after since")
        return until


class Endpoint(Output):
    """`failing_since` is when a series of failures without any success began; after 5 days of it we disable."""

    endpoint_id: Id
    url: str
    event_types: list[Subscribable]
    enabled: bool
    rate_limit_per_minute: int | None = None
    failing_since: Moment | None = None
    previous_secret_until: Moment | None = Field(
        default=None, description="Until then the secret before the current one signs too"
    )
    created_at: Moment
    updated_at: Moment


class EndpointWithSecret(Endpoint):
    shown_once = frozenset({"secret"})

    secret: str | None = Field(
        default=None,
        description="Shown in this answer and never again: a replayed one is without it",
        examples=["whsec_…"],
    )


class EndpointList(Output):
    """All of the organization, oldest first."""

    items: list[Endpoint]


class DeliveryStarted(Output):
    """The delivery that is on its way now."""

    delivery_id: Id
    event_id: Id
    endpoint_id: Id
    n: int = Field(description="1 for the first delivery of the event to the endpoint, 2 for the first redelivery")


class RecoverAck(Output):
    redelivered: int = Field(description="How many events are on their way again")
    more: bool = Field(description="There are more of them than one call takes: call again")


class DeliverySummary(Output):
    """`attempts` counts the requests that were made; each of them is in the delivery's `attempt_log`."""

    delivery_id: Id
    event_id: Id = Field(description="`webhook-id` of every attempt and every redelivery")
    endpoint_id: Id
    event_type: Sendable
    n: int
    status: DeliveryStatus
    attempts: int
    response_code: int | None = None
    last_attempt_at: Moment | None = None
    next_attempt_at: Moment | None = None
    completed_at: Moment | None = None
    created_at: Moment


class DeliveryList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[DeliverySummary]
    next_cursor: str | None = None


class Attempt(Output):
    """One request. `response_excerpt` is at most 1 KiB of what came back."""

    n: int
    outcome: str
    response_code: int | None = None
    response_excerpt: str | None = None
    latency_ms: int
    started_at: Moment


class DeliveryDetail(DeliverySummary):
    body: str = Field(description="What every attempt sends, byte for byte")
    attempt_log: list[Attempt] = Field(description="Kept for 30 days")
