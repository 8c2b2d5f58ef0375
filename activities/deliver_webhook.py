"""Send one webhook request to a partner and record its outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.endpoint_slots import EndpointConcurrencyLimiter, retry_later
from domain.database import Database
from domain.errors import CorruptData
from domain.webhooks.deliveries import (
    Delivery,
    DeliveryStatus,
    DueAttempt,
    WebhookResponse,
    WebhookSender,
    next_wait_s,
    status_after,
)

_FIRST_KEY_PAUSE: Final = timedelta(minutes=1)
_LONGEST_KEY_PAUSE: Final = timedelta(minutes=15)
_DOUBLINGS: Final = 4
"""Enough to exceed the longest pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInput:
    """Request number `attempt` (from 1). The schedule waits `then_wait_s` after it; None after the last one."""

    delivery: Delivery
    attempt: int
    then_wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The delivery after `attempts` requests: the last response's status code and the seconds until the next request.

    Without a response there is no `code`. `wait_s` applies to pending deliveries only.
    """

    status: DeliveryStatus
    attempts: int
    code: int | None
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseInput:
    """`reason` is an error code."""

    delivery_id: UUID
    reason: str


class DeliverWebhook:
    """`slots` are shared by all requests of the worker."""

    def __init__(self, database: Database, sender: WebhookSender, slots: EndpointConcurrencyLimiter) -> None:
        self._database = database
        self._sender = sender
        self._slots = slots

    @activity.defn
    async def deliver_webhook(self, attempt: AttemptInput) -> AttemptResult:
        """Send the request unless its outcome is already stored.

        When a worker crashes before it stores the outcome, the same request is sent again with the same id and body.
        The time of the attempt is the start time in `activity.info()`.

        Raises:
            ApplicationError: nothing was sent. The endpoint has no free slot, its rate limit requires a wait, or no
                configured key decrypts its secret; retried after its delay.
        """
        now = activity.info().started_time
        with self._slots.held(attempt.delivery.endpoint_id):
            due = await self._due(attempt, now)
            if due.status is not DeliveryStatus.PENDING or due.attempts >= attempt.attempt:
                return _known(due)
            if due.message is None:
                return await self._cancelled(attempt.delivery, due)
            if due.turn_in_s:
                raise retry_later(due.turn_in_s, "EndpointPaced")
            try:
                answer = await self._sender.send(due.message)
            except CorruptData as error:
                raise _wait_for_key(error, activity.info().attempt) from None
        return await self._recorded(attempt, now, answer)

    @activity.defn
    async def close_delivery(self, close: CloseInput) -> DeliveryStatus:
        """Make a pending delivery a dead letter; return the delivery's status."""
        return await self._close(close.delivery_id, DeliveryStatus.DEAD_LETTER, close.reason)

    async def _due(self, attempt: AttemptInput, now: datetime) -> DueAttempt:
        async with self._database.statement() as uow:
            return await uow.deliveries.due(attempt.delivery.id, attempt.attempt, now)

    async def _cancelled(self, delivery: Delivery, due: DueAttempt) -> AttemptResult:
        """Cancel a delivery whose endpoint is disabled or deleted, or whose user is being erased."""
        status = await self._close(delivery.id, DeliveryStatus.CANCELLED, "not_allowed")
        return AttemptResult(status=status, attempts=due.attempts, code=due.code)

    async def _close(self, delivery_id: UUID, status: DeliveryStatus, reason: str) -> DeliveryStatus:
        async with self._database.statement() as uow:
            return await uow.deliveries.close(delivery_id, status, reason)

    async def _recorded(self, attempt: AttemptInput, now: datetime, answer: WebhookResponse) -> AttemptResult:
        wait_s = next_wait_s(attempt.then_wait_s, answer.retry_after_s)
        async with self._database.statement() as uow:
            written = await uow.deliveries.record(attempt.delivery.id, attempt.attempt, now, answer, wait_s)
        if not written:  # an earlier attempt timed out, but recorded its outcome first
            return _known(await self._due(attempt, now))
        status = status_after(answer.outcome, wait_s)
        waits_s = wait_s if status is DeliveryStatus.PENDING and wait_s is not None else 0.0
        return AttemptResult(status=status, attempts=attempt.attempt, code=answer.code, wait_s=waits_s)


def _wait_for_key(error: CorruptData, tries: int) -> ApplicationError:
    """Return the error that the run shows until an operator adds the key that encrypted the endpoint's secret."""
    return ApplicationError(
        f"{error.code}: {error.message}. The delivery waits until then and is tried again at least every"
        f" {_LONGEST_KEY_PAUSE // timedelta(minutes=1)} minutes",
        type="SecretUnreadable",
        next_retry_delay=min(_FIRST_KEY_PAUSE * 2 ** min(tries - 1, _DOUBLINGS), _LONGEST_KEY_PAUSE),
    )


def _known(due: DueAttempt) -> AttemptResult:
    return AttemptResult(status=due.status, attempts=due.attempts, code=due.code, wait_s=due.next_in_s or 0.0)
