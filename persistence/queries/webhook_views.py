"""Parameter and result types of queries about webhooks."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.webhooks.deliveries import DeliveryStatus


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
class EndedDeliveryView:
    """A delivery that has ended. `latency_ms` is the duration of its last stored attempt."""

    status: str
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """How the recent deliveries to an endpoint ended, oldest first, and how long their last attempts took."""

    deliveries: Sequence[EndedDeliveryView]

    @property
    def ended(self) -> int:
        return len(self.deliveries)

    @property
    def failed(self) -> int:
        return sum(each.status == DeliveryStatus.DEAD_LETTER for each in self.deliveries)

    @property
    def latencies_ms(self) -> list[int]:
        """The known durations, shortest first."""
        return sorted(each.latency_ms for each in self.deliveries if each.latency_ms is not None)

    @property
    def slow_ms(self) -> int | None:
        """The shortest duration that 95 % of the attempts do not exceed; None without a stored attempt."""
        found = self.latencies_ms
        return found[math.ceil(0.95 * len(found)) - 1] if found else None

    @property
    def median_ms(self) -> float | None:
        return statistics.median(self.latencies_ms) if self.latencies_ms else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """A filter; conditions are combined with AND. `after` is the (created_at, id) of the previous page's last row."""

    endpoint_id: UUID | None = None
    status: str | None = None
    event_type: str | None = None
    event_id: UUID | None = None
    since: datetime | None = None
    after: tuple[datetime, UUID] | None = None
