"""Schemas of webhook endpoints and of the log of deliveries."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from api.schemas.base import Id, Input, Moment, Output, absent

MAX_URL_CHARS: Final = 2048
MAX_RATE: Final = 60_000

Subscribable: TypeAlias = Literal[
    "assessment.completed",
    "assessment.failed",
    "assessment.updated",
    "assessment.held",
    "assessment.released",
    "appeal.opened",
    "appeal.answered",
]
Sendable: TypeAlias = Literal[Subscribable, "webhook.test"]
DeliveryStatus: TypeAlias = Literal["pending", "delivered", "dead_letter", "cancelled"]


def _distinct(types: list[str]) -> list[str]:
    if len(set(types)) != len(types):
        raise ValueError("must not list a type twice")
    return types


Url = Annotated[
    str,
    Field(
        max_length=MAX_URL_CHARS,
        description="An https URL with the default port, a public address and no user info",
        examples=["https://partner.example/hooks/microcred"],
    ),
]
EventTypes = Annotated[
    list[Subscribable],
    Field(
        min_length=1,
        max_length=len(get_args(Subscribable)),
        description="The event types to send. `webhook.test` is always sent",
    ),
    AfterValidator(_distinct),
]
Rate = Annotated[
    int | None, Field(ge=1, le=MAX_RATE, description="Maximum number of requests per minute; null: no limit")
]


class EndpointRequest(Input):
    url: Url
    event_types: EventTypes
    enabled: bool = True
    rate_limit_per_minute: Rate = None


class EndpointChange(Input):
    """A change of an endpoint. Absent fields do not change. A rate limit of null removes the limit."""

    url: Url = Field(default_factory=absent)
    event_types: EventTypes = Field(default_factory=absent)
    enabled: bool = Field(default_factory=absent)
    rate_limit_per_minute: Rate = Field(default_factory=absent)

    @model_validator(mode="after")
    def _has_a_change(self) -> "EndpointChange":
        if not self.model_fields_set:
            raise ValueError("must have at least one field to change")
        return self


class RecoverRequest(Input):
    since: Moment = Field(description="Start of the period, inclusive")
    until: Moment | None = Field(default=None, description="End of the period, exclusive. Absent: now")

    @field_validator("until")
    @classmethod
    def _in_order(cls, until: datetime | None, others: ValidationInfo) -> datetime | None:
        if until is not None and "since" in others.data and until <= others.data["since"]:
            raise ValueError("must be after since")
        return until


class Endpoint(Output):
    """An endpoint. `failing_since` is the time of the first failure since the last success.

    An endpoint that fails for 5 days is disabled.
    """

    endpoint_id: Id
    url: str
    event_types: list[Subscribable]
    enabled: bool
    rate_limit_per_minute: int | None = None
    failing_since: Moment | None = None
    previous_secret_until: Moment | None = Field(
        default=None, description="Until this time, the previous secret also signs deliveries"
    )
    created_at: Moment
    updated_at: Moment


class EndpointWithSecret(Endpoint):
    shown_once = frozenset({"secret"})

    secret: str | None = Field(
        default=None,
        description="The secret. Only this response contains it; a replay of the response does not",
        examples=["whsec_…"],
    )


class EndpointList(Output):
    """All endpoints of the organization, oldest first."""

    items: list[Endpoint]


class DeliveryStarted(Output):
    """The delivery that was started."""

    delivery_id: Id
    event_id: Id
    endpoint_id: Id
    n: int = Field(description="1 for the first delivery of the event to the endpoint, 2 for the first redelivery")


class RecoverAck(Output):
    redelivered: int = Field(description="Number of events that are sent again")
    more: bool = Field(description="`true`: there are more events than one call handles. Call again")


class DeliverySummary(Output):
    """`attempts` is the number of requests so far. The delivery's `attempt_log` lists them."""

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
    """One request to the endpoint. `response_excerpt` is at most 1 KiB of the response."""

    n: int
    outcome: str
    response_code: int | None = None
    response_excerpt: str | None = None
    latency_ms: int
    started_at: Moment


class DeliveryDetail(DeliverySummary):
    body: str = Field(description="The exact body that every attempt sends")
    attempt_log: list[Attempt] = Field(description="The attempts. They are deleted after 30 days")
