"""Webhook endpoints of partners, and their delivery log."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep, IdempotentCommand
from api.middleware.routing import router
from api.schemas.base import Id, Moment
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.webhooks import (
    DeliveryDetail,
    DeliveryList,
    DeliveryStarted,
    DeliveryStatus,
    DeliverySummary,
    Endpoint,
    EndpointChange,
    EndpointList,
    EndpointRequest,
    EndpointWithSecret,
    RecoverAck,
    RecoverRequest,
    Sendable,
)
from api.services.use_cases import require
from api.services.webhooks import StartedDeliveries, WebhookService, endpoint_changes, new_endpoint, service
from persistence.queries.webhook_views import DeliveryFilter
from persistence.repositories.endpoints import Issued
from persistence.request_database import RequestUnitOfWork

endpoints = router(prefix="/webhooks/endpoints", tags=["Webhooks"])
deliveries = router(prefix="/webhooks/deliveries", tags=["Webhooks"])


@endpoints.post(
    "",
    status_code=201,
    response_model=EndpointWithSecret,
    summary="Register an endpoint",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_endpoint(body: EndpointRequest, command: IdempotencyDep) -> Response:
    """Only this response shows the signing secret. The database stores it encrypted."""
    new = new_endpoint(body, command.services.webhooks)

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        return CommandResult(response=_with_secret(await _service(uow, command).create(new)))

    return await command.execute(create)


@endpoints.get("", summary="List endpoints", responses=answers(401, 403))
async def list_endpoints(services: ServicesDep, scope: ScopeDep) -> EndpointList:
    views = await services.webhooks.queries.endpoints(scope)
    return EndpointList(items=[Endpoint.model_validate(view) for view in views])


@endpoints.get("/{endpoint_id}", summary="Read an endpoint", responses=answers(400, 401, 403, 404))
async def read_endpoint(endpoint_id: Id, services: ServicesDep, scope: ScopeDep) -> Endpoint:
    view = require(await services.webhooks.queries.endpoint(endpoint_id, scope), "No such endpoint")
    return Endpoint.model_validate(view)


@endpoints.patch(
    "/{endpoint_id}",
    summary="Change, enable or disable an endpoint",
    responses=answers(400, 401, 403, 404, 413, 415),
)
async def change_endpoint(
    endpoint_id: Id, change: EndpointChange, services: ServicesDep, principal: PrincipalDep
) -> Endpoint:
    """A disabled endpoint receives nothing. Enable it and call `recover` to receive the events it missed."""
    changes = endpoint_changes(change, services.webhooks)
    async with services.database.transaction() as uow:
        view = await service(uow, services, principal).change(endpoint_id, changes)
        await uow.commit()
    return Endpoint.model_validate(view)


@endpoints.delete(
    "/{endpoint_id}", status_code=204, summary="Delete an endpoint", responses=answers(400, 401, 403, 404)
)
async def delete_endpoint(endpoint_id: Id, services: ServicesDep, principal: PrincipalDep) -> None:
    """Erases the endpoint's secrets and cancels its pending deliveries. The delivery log remains."""
    async with services.database.transaction() as uow:
        await service(uow, services, principal).delete(endpoint_id)
        await uow.commit()


@endpoints.post(
    "/{endpoint_id}/test",
    status_code=202,
    response_model=DeliveryStarted,
    summary="Send a test event",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def test_endpoint(endpoint_id: Id, command: IdempotencyDep) -> Response:
    """Deliver a `webhook.test` event to this endpoint only, like any other event."""

    async def send(uow: RequestUnitOfWork) -> CommandResult:
        return _started(await _service(uow, command).test(endpoint_id))

    return await command.execute(send, on_replay=command.services.webhooks.runs.start)


@endpoints.post(
    "/{endpoint_id}/rotate-secret",
    response_model=EndpointWithSecret,
    summary="Replace the secret",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def rotate_secret(endpoint_id: Id, command: IdempotencyDep) -> Response:
    """Both secrets sign for 24 hours. After another rotation in that time, the oldest secret stops at once."""

    async def rotate(uow: RequestUnitOfWork) -> CommandResult:
        issued = await _service(uow, command).rotate_secret(endpoint_id)
        return CommandResult(response=_with_secret(issued))

    return await command.execute(rotate)


@endpoints.post(
    "/{endpoint_id}/recover",
    status_code=202,
    response_model=RecoverAck,
    summary="Deliver again all failed or missed events since a time",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def recover_endpoint(endpoint_id: Id, body: RecoverRequest, command: IdempotencyDep) -> Response:
    """Redeliver dead letters, cancelled deliveries and events missed while disabled; oldest first, 200 per request.

    Includes only event types that the endpoint subscribes to. Pending deliveries do not change, so a repeated request
    has no further effect on them.
    """

    async def recover(uow: RequestUnitOfWork) -> CommandResult:
        recovered = await _service(uow, command).recover(endpoint_id, body.since, body.until)
        ack = RecoverAck(redelivered=len(recovered.deliveries), more=recovered.more)
        return CommandResult(response=ack, after_commit=recovered.after_commit)

    return await command.execute(recover)


class DeliveryQuery(PageQuery):
    endpoint_id: Id | None = None
    status: DeliveryStatus | None = None
    event_type: Sendable | None = None
    event_id: Id | None = Field(default=None, description="The header `webhook-id` of a request to the endpoint")
    since: Moment | None = Field(default=None, description="Created at this time or later")


@deliveries.get("", summary="List deliveries", responses=answers(400, 401, 403))
async def list_deliveries(
    query: Annotated[DeliveryQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> DeliveryList:
    """Newest first, including deliveries to deleted endpoints."""
    filters = DeliveryFilter(**query.filters())
    views = await services.webhooks.queries.deliveries(scope, filters, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.delivery_id)
    return DeliveryList(items=[DeliverySummary.model_validate(view) for view in page], next_cursor=next_cursor)


@deliveries.get("/{delivery_id}", summary="Read a delivery with its attempts", responses=answers(400, 401, 403, 404))
async def read_delivery(delivery_id: Id, services: ServicesDep, scope: ScopeDep) -> DeliveryDetail:
    view = require(await services.webhooks.queries.delivery(delivery_id, scope), "No such delivery")
    attempts = await services.webhooks.queries.attempts(delivery_id)
    return DeliveryDetail.read(view, body=view.body.decode(), attempt_log=attempts)


@deliveries.post(
    "/{delivery_id}/redeliver",
    status_code=202,
    response_model=DeliveryStarted,
    summary="Deliver an event again",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def redeliver(delivery_id: Id, command: IdempotencyDep) -> Response:
    """Attempt a pending delivery now. Otherwise create another delivery with the same event id and the same bytes."""

    async def send(uow: RequestUnitOfWork) -> CommandResult:
        return _started(await _service(uow, command).redeliver(delivery_id))

    return await command.execute(send, on_replay=command.services.webhooks.runs.start)


def _with_secret(issued: Issued) -> EndpointWithSecret:
    return EndpointWithSecret.read(issued.endpoint, secret=issued.secret)


def _started(sent: StartedDeliveries) -> CommandResult:
    (delivery,) = sent.deliveries
    started = DeliveryStarted(
        delivery_id=delivery.id, event_id=delivery.event_id, endpoint_id=delivery.endpoint_id, n=delivery.n
    )
    return CommandResult(response=started, after_commit=sent.after_commit)


def _service(uow: RequestUnitOfWork, caller: IdempotentCommand) -> WebhookService:
    return service(uow, caller.services, caller.principal)
