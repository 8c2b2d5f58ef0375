"""The delivery log: filters, attempts, and deliver again."""

import json

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.pages.form_errors import parameters, query_of
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.routes.webhooks import DeliveryQuery
from api.schemas.base import Id
from api.services.use_cases import require
from api.services.webhooks import service
from api.workflow_engine import notify_all
from persistence.queries.webhook_views import DeliveryFilter

deliveries = page_router(prefix="/admin/deliveries")


@deliveries.get("")
async def deliveries_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    labels = {"status": gettext("Status"), "event_type": gettext("Event"), "event_id": gettext("Event id")}
    query, errors = query_of(request, DeliveryQuery, labels)
    wanted = DeliveryFilter(**query.filters())
    queries = services.webhooks.queries
    views = await queries.deliveries(scope, wanted, query.limit + 1)
    shown, next_cursor = query.page(views, lambda last: last.delivery_id)
    return render(
        request,
        "admin/deliveries.html",
        400 if errors else 200,
        title=gettext("Deliveries"),
        errors=errors,
        filters=query,
        event_id=str(query.event_id or "") or request.query_params.get("event_id", ""),
        parameters=parameters(query),
        deliveries=shown,
        next_cursor=next_cursor,
        endpoints={each.endpoint_id: each.url for each in await queries.endpoints(scope)},
    )


@deliveries.get("/{delivery_id}")
async def delivery_page(request: Request, delivery_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    queries = services.webhooks.queries
    view = require(await queries.delivery(delivery_id, scope), "No such delivery")
    return render(
        request,
        "admin/delivery.html",
        title=gettext("Delivery of %(event)s") % {"event": view.event_type},
        delivery=view,
        endpoint=await queries.endpoint(view.endpoint_id, scope),
        attempts=await queries.attempts(delivery_id),
        body=_indented(view.body),
    )


@deliveries.post("/{delivery_id}/redeliver")
async def redeliver_form(delivery_id: Id, services: ServicesDep, principal: PrincipalDep) -> Response:
    async with services.database.transaction() as uow:
        sent = await service(uow, services, principal).redeliver(delivery_id)
        await uow.commit()
    await notify_all(sent.after_commit)
    return see_other(f"/admin/deliveries/{sent.deliveries[0].id}", done="redelivered")


def _indented(body: bytes) -> str:
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
