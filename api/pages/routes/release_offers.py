"""The part of the review pages that offers the release of a result whose last doubtful essay was decided."""

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.pages.forms import FormDep
from api.pages.lists import filled, read_query
from api.pages.release_offer import DecidedQuery, OfferState, release_offer
from api.pages.rendering import render, see_other
from api.pages.routes.reviews import FILTERS
from api.pages.routing import page_router
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_release
from api.services.releases import NotReleased, ReleaseService
from api.workflow_engine import notify_all
from domain.errors import InvalidAssessmentState

release_offers = page_router(prefix="/reviews/decided")


@release_offers.get("/{assessment_id}")
async def release_offer_part(request: Request, assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """The part that the page loads again until the revision with the review is published; 204 until then."""
    offer = await release_offer(assessment_id, services, scope)
    if offer is not None and offer.state is OfferState.PUBLISHING:
        return Response(status_code=204)
    query = read_query(DecidedQuery, filled(request.query_params, ("item_id",)))
    return render(
        request,
        "advisor/_release_offer.html",
        offer=offer,
        item_id=query.item_id,
        filters=filled(request.query_params, FILTERS),
    )


@release_offers.post("/{assessment_id}/release")
async def release_decided_form(
    assessment_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Release the result and stay on the page: the essay on the desk, or the queue."""
    item_id = read_query(DecidedQuery, filled(form, ("item_id",))).item_id
    page = f"/reviews/items/{item_id}" if item_id else "/reviews"
    filters = filled(form, FILTERS)
    try:
        async with services.database.transaction() as uow:
            receipt = await ReleaseService(uow).release(assessment_id, scope, actor_of(principal))
            await uow.commit()
    except InvalidAssessmentState as error:
        if (error.details or {}).get("reason") != NotReleased.REVIEW_PENDING:
            raise
        return see_other(page, **filters, decided=str(assessment_id))
    await notify_all(calls_after_release(receipt, services))
    return see_other(page, **filters, done="released")
