"""Ports of webhook deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.webhooks.deliveries import Delivery, DeliveryStatus, DueAttempt, WebhookResponse


class DeliveryRuns(Protocol):
    """The engine that runs deliveries. Each call may be repeated; a second one changes nothing.

    Raises:
        ExternalServiceError: the engine did not take the call in time; reconciliation repeats it.
    """

    async def start(self, delivery: Delivery) -> None:
        """Ensures a live run of a pending delivery."""
        ...

    async def redeliver_now(self, delivery: Delivery) -> None:
        """The same, and it does not wait for its next attempt."""
        ...

    async def live(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        """The ids of those with a live run, as far as the engine's index knows (seconds behind); at most 200 a call."""
        ...


class Deliveries(Protocol):
    """Deliveries to partners and the attempts at them. Each call is one statement."""

    async def due(self, delivery_id: UUID, attempt: int, now: datetime) -> DueAttempt:
        """What the delivery's `attempt`-th request (from 1) sends at `now`; takes a turn where there is a rate limit.

        Raises:
            NotFound: there is no such delivery.
        """
        ...

    async def record(
        self, delivery_id: UUID, attempt: int, now: datetime, answer: WebhookResponse, wait_s: float | None
    ) -> bool:
        """Writes an attempt down, and what follows for delivery and endpoint; `wait_s` None means it was the last.

        False, and nothing is changed, where that attempt is on record or the delivery is not pending any more.
        """
        ...

    async def close(self, delivery_id: UUID, status: DeliveryStatus, reason: str) -> DeliveryStatus:
        """Ends a pending delivery without another attempt, with an audit row; returns what its status is then.

        Raises:
            NotFound: there is no such delivery.
        """
        ...

    async def pending(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Delivery, ...]:
        """Pending ones that were made that long ago, by id, from after `after`."""
        ...
