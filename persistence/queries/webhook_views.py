"""Parameter and result types of queries about webhooks."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """An endpoint without its secrets. The previous secret also signs until `previous_secret_until`."""

    endpoint_id: UUID
    url: str
    event_types: list[str]
    enabled: bool
    rate_limit_per_minute: int | None
    failing_since: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    delivery_id: UUID
    event_id: UUID
    endpoint_id: UUID
    event_type: str
    n: int
    status: str
    attempts: int
    response_code: int | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    completed_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDeliveryView(DeliveryView):
    """`body` holds the exact bytes that every attempt sends."""

    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    n: int
    outcome: str
    response_code: int | None
    response_excerpt: str | None
    latency_ms: int
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFigures:
    """How the recent deliveries to an endpoint ended, and how long their last attempts took.

    `median_ms` and `slow_ms`, the 95th percentile, are None without a stored attempt.
    """

    delivered: int
    failed: int
    median_ms: float | None
    slow_ms: float | None

    @property
    def ended(self) -> int:
        return self.delivered + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """A filter; conditions are combined with AND. `after` is the (created_at, id) of the previous page's last row."""

    endpoint_id: UUID | None = None
    status: str | None = None
    event_type: str | None = None
    event_id: UUID | None = None
    since: datetime | None = None
    after: tuple[datetime, UUID] | None = None
