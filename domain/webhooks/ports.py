"""Ports of webhook deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.sweeps import Cursor
from domain.webhooks.deliveries import Delivery, DeliveryStatus, DueAttempt, WebhookResponse


class DeliveryRuns(Protocol):
    """The workflow engine, for deliveries. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time. Reconciliation repeats it.
    """

    async def start(self, delivery: Delivery) -> None:
        """Start the run of a pending delivery, unless one is live."""
        ...

    async def redeliver_now(self, delivery: Delivery) -> None:
        """Start the run of a pending delivery, or signal a live one, so that the next attempt is made immediately."""
        ...

    async def live(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        """Return the ids of deliveries with a live run. The engine's index lags by seconds. At most 200 a call."""
        ...


class Deliveries(Protocol):
    """The repository of deliveries and their attempts. Each call is one statement."""

    async def due(self, delivery_id: UUID, attempt: int, now: datetime) -> DueAttempt:
        """Return the request of the `attempt`-th attempt (from 1) at `now`. Count it against the endpoint's rate limit.

        Raises:
            NotFound: the delivery does not exist.
        """
        ...

    async def record(
        self, delivery_id: UUID, attempt: int, now: datetime, answer: WebhookResponse, wait_s: float | None
    ) -> bool:
        """Record an attempt and update the delivery and the endpoint. `wait_s` None: it was the last attempt.

        Return False and change nothing if the attempt is already recorded or the delivery is not pending.
        """
        ...

    async def close(self, delivery_id: UUID, status: DeliveryStatus, reason: str) -> DeliveryStatus:
        """End a pending delivery without another attempt, write an audit row, and return the resulting status.

        Raises:
            NotFound: the delivery does not exist.
        """
        ...

    async def overdue(
        self, *, late_s: float, after: Cursor | None, limit: int
    ) -> tuple[tuple[datetime, Delivery], ...]:
        """Return pending deliveries whose next attempt was due at least `late_s` seconds ago, each with that time.

        They are in the order of that time and the id, after `after`.
        """
        ...
