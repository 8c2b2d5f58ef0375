"""One request to a partner, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from temporalio import activity

from activities.endpoint_slots import EndpointConcurrencyLimiter, retry_later
from domain.database import Database
from domain.webhooks.deliveries import (
    Delivery,
    DeliveryStatus,
    DueAttempt,
    WebhookResponse,
    WebhookSender,
    next_wait_s,
    status_after,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInput:
    """The delivery's `attempt`-th request (from 1); after it the schedule waits `then_wait_s`, None after the last."""

    delivery: Delivery
    attempt: int
    then_wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """How the delivery stands after `attempts` requests: the last one's status code, seconds until the next one.

    `code` is None where there was no answer; `wait_s` only means something while the delivery is pending.
    """

    status: DeliveryStatus
    attempts: int
    code: int | None
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseInput:
    """`reason` is a code."""

    delivery_id: UUID
    reason: str


class DeliverWebhook:
    """`slots` belong to the worker: all its requests share them."""

    def __init__(self, database: Database, sender: WebhookSender, slots: EndpointConcurrencyLimiter) -> None:
        self._database = database
        self._sender = sender
        self._slots = slots

    @activity.defn
    async def deliver_webhook(self, attempt: AttemptInput) -> AttemptResult:
        """Makes the request unless it is on record already.

        A worker that dies after the partner's answer leaves nothing behind, so the same request is made again: the
        same id, the same bytes. The time is the engine's.
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
            answer = await self._sender.send(due.message)
        return await self._recorded(attempt, now, answer)

    @activity.defn
    async def close_delivery(self, close: CloseInput) -> DeliveryStatus:
        """Ends a pending delivery as a dead letter; returns what the delivery is then, if it was not pending."""
        return await self._close(close.delivery_id, DeliveryStatus.DEAD_LETTER, close.reason)

    async def _due(self, attempt: AttemptInput, now: datetime) -> DueAttempt:
        async with self._database.statement() as uow:
            return await uow.deliveries.due(attempt.delivery.id, attempt.attempt, now)

    async def _cancelled(self, delivery: Delivery, due: DueAttempt) -> AttemptResult:
        """The endpoint is disabled or deleted, or the person the event speaks of is being erased."""
        status = await self._close(delivery.id, DeliveryStatus.CANCELLED, "not_allowed")
        return AttemptResult(status=status, attempts=due.attempts, code=due.code)

    async def _close(self, delivery_id: UUID, status: DeliveryStatus, reason: str) -> DeliveryStatus:
        async with self._database.statement() as uow:
            return await uow.deliveries.close(delivery_id, status, reason)

    async def _recorded(self, attempt: AttemptInput, now: datetime, answer: WebhookResponse) -> AttemptResult:
        wait_s = next_wait_s(attempt.then_wait_s, answer.retry_after_s)
        async with self._database.statement() as uow:
            written = await uow.deliveries.record(attempt.delivery.id, attempt.attempt, now, answer, wait_s)
        if not written:  # another attempt, given up for lost, was on record first
            return _known(await self._due(attempt, now))
        status = status_after(answer.outcome, wait_s)
        waits_s = wait_s if status is DeliveryStatus.PENDING and wait_s is not None else 0.0
        return AttemptResult(status=status, attempts=attempt.attempt, code=answer.code, wait_s=waits_s)


def _known(due: DueAttempt) -> AttemptResult:
    return AttemptResult(status=due.status, attempts=due.attempts, code=due.code, wait_s=due.next_in_s or 0.0)
