"""Partners' endpoints, and the log of what was sent to them."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

from fastapi import Query, Response
from pydantic import BeforeValidator, Field

from api.dependencies import Caller, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas import cursors
from api.schemas.base import Id, Moment, QueryInput, digits
from api.schemas.errors import answers
from api.schemas.webhooks import (
    Attempt,
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
from api.security.tokens import Principal
from api.workflow_engine import told
from domain.errors import NotFound
from domain.webhooks.deliveries import Delivery
from persistence.queries.views import Actor
from persistence.queries.webhook_views import DeliveryFilter
from persistence.repositories.endpoints import Issued, NewEndpoint
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
async def create_endpoint(
    wanted: EndpointRequest, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """The answer shows the secret that signs; it is stored encrypted and never shown again."""
    services.webhooks.check_url(wanted.url)
    new = NewEndpoint(**wanted.model_dump() | {"event_types": tuple(wanted.event_types)})

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        return CommandResult(answer=_with_secret(await uow.endpoints.create(seen, _actor(caller), new)))

    return await once.do(services.database, create)


@endpoints.get("", summary="List endpoints", responses=answers(401, 403), response_model_exclude_none=True)
async def list_endpoints(services: ServicesDep, seen: ScopeDep) -> EndpointList:
    views = await services.webhooks.queries.endpoints(seen)
    return EndpointList(items=[Endpoint.model_validate(view) for view in views])


@endpoints.get(
    "/{endpoint_id}",
    summary="Read an endpoint",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def read_endpoint(endpoint_id: Id, services: ServicesDep, seen: ScopeDep) -> Endpoint:
    view = await services.webhooks.queries.endpoint(endpoint_id, seen)
    if view is None:
        raise NotFound("No such endpoint")
    return Endpoint.model_validate(view)


@endpoints.patch(
    "/{endpoint_id}",
    summary="Change, enable or disable an endpoint",
    responses=answers(400, 401, 403, 404, 413, 415),
    response_model_exclude_none=True,
)
async def change_endpoint(
    endpoint_id: Id, change: EndpointChange, services: ServicesDep, caller: Caller, seen: ScopeDep
) -> Endpoint:
    """A disabled endpoint is sent nothing; what happens meanwhile is not lost: enable it, then recover."""
    wanted = change.model_dump(exclude_unset=True)
    if "url" in wanted:
        services.webhooks.check_url(change.url)
    async with services.database.transaction() as uow:
        view = await uow.endpoints.change(endpoint_id, seen, _actor(caller), wanted)
        await uow.commit()
    return Endpoint.model_validate(view)


@endpoints.delete(
    "/{endpoint_id}", status_code=204, summary="Delete an endpoint", responses=answers(400, 401, 403, 404)
)
async def delete_endpoint(endpoint_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep) -> None:
    """Its secrets are erased and its pending deliveries cancelled. The delivery log keeps what was sent to it."""
    async with services.database.transaction() as uow:
        await uow.endpoints.delete(endpoint_id, seen, _actor(caller))
        await uow.commit()


@endpoints.post(
    "/{endpoint_id}/test",
    status_code=202,
    response_model=DeliveryStarted,
    summary="Send a test event",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def test_endpoint(
    endpoint_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """A `webhook.test` event for this endpoint alone, delivered as any other event is."""
    start = services.webhooks.runs.start

    async def send(uow: RequestUnitOfWork) -> CommandResult:
        delivery = await uow.redeliveries.test(endpoint_id, seen, _actor(caller))
        return CommandResult(answer=_started(delivery), tell=[partial(told, start, delivery)])

    return await once.do(services.database, send, again=start)


@endpoints.post(
    "/{endpoint_id}/rotate-secret",
    response_model=EndpointWithSecret,
    summary="Replace the secret",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def rotate_secret(
    endpoint_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """Both secrets sign for 24 hours. Rotated again before that, the oldest of the three stops at once."""

    async def rotate(uow: RequestUnitOfWork) -> CommandResult:
        return CommandResult(answer=_with_secret(await uow.endpoints.rotate(endpoint_id, seen, _actor(caller))))

    return await once.do(services.database, rotate)


@endpoints.post(
    "/{endpoint_id}/recover",
    status_code=202,
    response_model=RecoverAck,
    summary="Deliver again whatever has not arrived since a time",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def recover_endpoint(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    endpoint_id: Id, wanted: RecoverRequest, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """Dead letters, cancelled deliveries and what happened while the endpoint was disabled; oldest first, 200 a call.

    Of the event types that the endpoint subscribes to. What is pending is left alone, so calling again is harmless.
    """
    start = services.webhooks.runs.start

    async def recover(uow: RequestUnitOfWork) -> CommandResult:
        recovered = await uow.redeliveries.recover(
            endpoint_id, seen, _actor(caller), since=wanted.since, until=wanted.until
        )
        ack = RecoverAck(redelivered=len(recovered.deliveries), more=recovered.more)
        return CommandResult(answer=ack, tell=[partial(told, start, each) for each in recovered.deliveries])

    return await once.do(services.database, recover)


class DeliveryQuery(QueryInput):
    endpoint_id: Id | None = None
    status: DeliveryStatus | None = None
    event_type: Sendable | None = None
    since: Moment | None = Field(default=None, description="Created at this time or later")
    cursor: str | None = Field(default=None, description="`next_cursor` of the page before")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


@deliveries.get("", summary="The delivery log", responses=answers(400, 401, 403), response_model_exclude_none=True)
async def list_deliveries(
    query: Annotated[DeliveryQuery, Query()], services: ServicesDep, seen: ScopeDep
) -> DeliveryList:
    """Newest first; deliveries to deleted endpoints stay in it."""
    found = DeliveryFilter(
        **query.model_dump(exclude={"cursor", "limit"}), after=cursors.decode(query.cursor) if query.cursor else None
    )
    views = await services.webhooks.queries.deliveries(seen, found, query.limit + 1)
    page, next_cursor = cursors.page(views, query.limit, lambda last: last.delivery_id)
    return DeliveryList(items=[DeliverySummary.model_validate(view) for view in page], next_cursor=next_cursor)


@deliveries.get(
    "/{delivery_id}",
    summary="One delivery with its attempts",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def read_delivery(delivery_id: Id, services: ServicesDep, seen: ScopeDep) -> DeliveryDetail:
    view = await services.webhooks.queries.delivery(delivery_id, seen)
    if view is None:
        raise NotFound("No such delivery")
    attempts = await services.webhooks.queries.attempts(delivery_id)
    return DeliveryDetail(
        **asdict(view) | {"body": view.body.decode()},
        attempt_log=[Attempt.model_validate(attempt) for attempt in attempts],
    )


@deliveries.post(
    "/{delivery_id}/redeliver",
    status_code=202,
    response_model=DeliveryStarted,
    summary="Deliver an event once more",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def redeliver(
    delivery_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """A pending delivery is attempted now; otherwise the event is delivered anew, with the same id and bytes."""
    runs = services.webhooks.runs

    async def send(uow: RequestUnitOfWork) -> CommandResult:
        sent = await uow.redeliveries.redeliver(delivery_id, seen, _actor(caller))
        call = runs.redeliver_now if sent.waiting else runs.start
        return CommandResult(answer=_started(sent.delivery), tell=[partial(told, call, sent.delivery)])

    return await once.do(services.database, send, again=runs.start)


def _actor(caller: Principal) -> Actor:
    return Actor(id=caller.user_id, role=caller.role)


def _with_secret(issued: Issued) -> EndpointWithSecret:
    return EndpointWithSecret(**asdict(issued.endpoint), secret=issued.secret)


def _started(delivery: Delivery) -> DeliveryStarted:
    return DeliveryStarted(
        delivery_id=delivery.id, event_id=delivery.event_id, endpoint_id=delivery.endpoint_id, n=delivery.n
    )
