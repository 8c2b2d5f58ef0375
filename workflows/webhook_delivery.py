"""The workflow that delivers one event to one endpoint, with retries."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.deliver_webhook import AttemptInput, AttemptResult, CloseInput, DeliverWebhook
    from domain.webhooks.deliveries import Delivery, DeliveryStatus, scheduled_wait_s
    from workflows.engine import search_attributes
    from workflows.policies import DELIVERY_SCHEDULE_S, activity_options, versioning
    from workflows.progress import TIME

ATTEMPTS = len(DELIVERY_SCHEDULE_S)
ACTION = "none. Send `redeliver_now` to make the next attempt now, or `give_up` to mark the delivery as a dead letter."


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """The final status, the number of attempts, and the last HTTP status code (None without a response)."""

    status: DeliveryStatus
    attempts: int
    code: int | None


@workflow.defn(versioning_behavior=versioning("WebhookDeliveryWorkflow"))
class WebhookDeliveryWorkflow:
    """Makes up to ten attempts at a delivery.

    Id: `webhook-{event_id}-{endpoint_id}`, for a redelivery `…-{n}`; reuse policy ALLOW_DUPLICATE, conflict policy
    USE_EXISTING, because Postgres decides.
    Signals: `redeliver_now` makes the next attempt now; `give_up` marks the delivery as a dead letter instead. A signal
    during an attempt applies after it.
    Queries, updates: none.
    End: when the delivery succeeds. The run fails if the delivery becomes a dead letter.
    """

    @workflow.init
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._hurried = False
        self._given_up = False

    @workflow.run
    async def run(self, delivery: Delivery) -> DeliveryResult:
        self._show("first attempt in progress", ACTION)
        done = await self._attempt(1)
        while done.status is DeliveryStatus.PENDING:
            await self._wait(done)
            if self._given_up:
                done = replace(done, status=await self._close(delivery))
            else:
                done = await self._attempt(done.attempts + 1)
        return self._end(DeliveryResult(status=done.status, attempts=done.attempts, code=done.code))

    @workflow.signal
    def redeliver_now(self) -> None:
        self._hurried = True

    @workflow.signal
    def give_up(self) -> None:
        self._given_up = True

    async def _attempt(self, number: int) -> AttemptResult:
        chance = workflow.random().random()
        return await workflow.execute_activity_method(
            DeliverWebhook.deliver_webhook,
            AttemptInput(
                delivery=self._delivery,
                attempt=number,
                then_wait_s=scheduled_wait_s(DELIVERY_SCHEDULE_S, number, chance),
            ),
            **activity_options("deliver_webhook", f"Attempt {number} of {ATTEMPTS}"),
        )

    async def _wait(self, done: AttemptResult) -> None:
        wait = timedelta(seconds=done.wait_s)
        following = f"attempt {done.attempts + 1} of {ATTEMPTS}"
        due = f"{workflow.now() + wait:{TIME}}"
        self._show(f"last response: {_response(done.code)}, {following} at {due}", ACTION)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._hurried or self._given_up, timeout=wait, timeout_summary=f"Until {following}"
            )
        self._hurried = False

    async def _close(self, delivery: Delivery) -> DeliveryStatus:
        return await workflow.execute_activity_method(
            DeliverWebhook.close_delivery,
            CloseInput(delivery_id=delivery.id, reason="given_up"),
            **activity_options("close_delivery", "Mark as dead letter"),
        )

    def _end(self, result: DeliveryResult) -> DeliveryResult:
        self._show(f"{result.status} after {result.attempts} attempt(s), last response: {_response(result.code)}")
        workflow.upsert_search_attributes([search_attributes.DELIVERY_STATUS.value_set(result.status)])
        if result.status is DeliveryStatus.DEAD_LETTER:
            raise ApplicationError(
                f"Not delivered after {result.attempts} attempt(s), last response: {_response(result.code)}. Action: "
                f"once the endpoint works, POST /api/v1/webhooks/deliveries/{self._delivery.id}/redeliver.",
                type="DeadLetter",
                non_retryable=True,
            )
        return result

    def _show(self, state: str, action: str = "none.") -> None:
        delivery = self._delivery
        workflow.set_current_details(
            f"Endpoint {delivery.endpoint_id}: {state}\n\nEvent {delivery.event_id}, delivery {delivery.id}"
            f"\n\nAction: {action}"
        )


def _response(code: int | None) -> str:
    return "none (no connection, or timeout)" if code is None else str(code)


def workflow_id(delivery: Delivery) -> str:
    number = "" if delivery.n == 1 else f"-{delivery.n}"
    return f"webhook-{delivery.event_id}-{delivery.endpoint_id}{number}"


def summary(delivery: Delivery) -> str:
    return f"Event {delivery.event_id} to endpoint {delivery.endpoint_id}"


def endpoint_priority(delivery: Delivery) -> Priority:
    """Dispatch the tasks of endpoints in turn, so that a backlog of one does not delay another."""
    return Priority(fairness_key=str(delivery.endpoint_id))


def attributes(delivery: Delivery) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(search_attributes.DELIVERY_STATUS, str(DeliveryStatus.PENDING)),
            SearchAttributePair(search_attributes.ORGANIZATION_ID, str(delivery.organization_id)),
        ]
    )
