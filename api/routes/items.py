"""Read the items of an assessment: questions, answers, scores and their history."""

import asyncio

from fastapi import Response

from api.dependencies import ScopeDep, ServicesDep
from api.middleware.routing import router
from api.routes.results import PENDING, pending, published
from api.schemas.base import Id
from api.schemas.errors import answers
from api.schemas.items import AssessmentItems
from api.services.assessed_items import assessed_items
from api.services.use_cases import require

items = router(prefix="/assessments", tags=["Assessments"])


@items.get(
    "/{assessment_id}/items",
    response_model=AssessmentItems,
    summary="Read the items with answers, scores and history",
    responses={**answers(400, 401, 403, 404, 409), **PENDING},
)
async def read_items(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> Response | AssessmentItems:
    """Advisors and admins read the items at any time, with keys, anchors, reviewers and the levels of the samples.

    Students read their own items without these, once there is a result: 202 with Retry-After while it is prepared; 409
    if the assessment is open or failed.
    """
    staff = scope.user_id is None
    view = require(await services.queries.graded_items(assessment_id, scope), "No such assessment")
    if not staff and published(view).document is None:
        return pending(assessment_id, view)
    async with services.database.transaction() as uow:
        asked = await uow.assessments.items(assessment_id)
    found = await asyncio.to_thread(assessed_items, view, asked)
    return AssessmentItems.of(assessment_id, view.status, view.revision, found, staff=staff)
