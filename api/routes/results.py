"""Read the result, its scores and its revisions."""

from typing import Annotated, Any, TypeVar

from fastapi import Path, Response
from pydantic import BeforeValidator, Field
from starlette.responses import JSONResponse

from api.dependencies import ScopeDep, ServicesDep
from api.middleware.routing import router
from api.preferences import APPLIED_HEADER, WaitDep
from api.result_wait import read_when_ready
from api.schemas.assessments import IN_REVIEW
from api.schemas.base import Id, digits
from api.schemas.errors import answers
from api.schemas.results import AssessmentResult, AssessmentScores, ResultPending, Revision, RevisionList
from api.services.results import shown_document
from domain.assessments.lifecycle import AssessmentStatus
from domain.errors import AssessmentFailed, NotFound, RecommendationNotReady
from persistence.queries.views import PublishedView

RETRY_AFTER_S = 1
RETRY_AFTER_REVIEW_S = 60
"""A result in review waits for a person."""
PENDING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": ResultPending,
        "description": "Still processing",
        "headers": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}},
    }
}
AWAITED: dict[int | str, dict[str, Any]] = {
    200: {"headers": APPLIED_HEADER},
    202: PENDING[202] | {"headers": PENDING[202]["headers"] | APPLIED_HEADER},
}
"""The responses of a route that can wait for the result."""

results = router(prefix="/assessments", tags=["Assessments", "Recommendations"])

Shown = TypeVar("Shown", bound=PublishedView)


@results.get(
    "/{assessment_id}/result",
    response_model=AssessmentResult,
    summary="Retrieve final recommendation result",
    response_description="Recommendation ready",
    responses={**answers(400, 401, 403, 404, 409), **AWAITED},
)
async def read_result(assessment_id: Id, services: ServicesDep, scope: ScopeDep, preference: WaitDep) -> Response:
    """The published result. 202 with Retry-After while it is prepared; 409 if the assessment is open or failed.

    With `Prefer: wait=N`, 202 comes only after N seconds, and the result as soon as it is published.

    Students and API keys also get 202, with the stage `in_review`, while the result is held.
    """
    view = published(await read_when_ready(assessment_id, scope, services, preference))
    found = pending(assessment_id, view) if view.document is None else result_response(view, view.document)
    return preference.confirm(found)


@results.get(
    "/{assessment_id}/scores",
    response_model=AssessmentScores,
    summary="Read the score of each item",
    responses={**answers(400, 401, 403, 404, 409), **PENDING},
)
async def read_scores(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """Points with explanations. Essays also have levels, quotes, the model and its versions."""
    view = published(await services.queries.published(assessment_id, scope))
    if view.document is None:
        return pending(assessment_id, view)
    document = shown_document(view, view.document)
    return JSONResponse({key: document[key] for key in AssessmentScores.model_fields})


@results.get(
    "/{assessment_id}/revisions",
    summary="List all published revisions of the result",
    responses=answers(400, 401, 403, 404),
)
async def list_revisions(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> RevisionList:
    """Oldest first; empty before the first result. Students and API keys get only released revisions."""
    revisions = await services.queries.revisions(assessment_id, scope)
    if not revisions and await services.queries.status(assessment_id, scope) is None:
        raise NotFound("No such assessment")
    return RevisionList(assessment_id=assessment_id, items=[Revision.model_validate(each) for each in revisions])


@results.get(
    "/{assessment_id}/revisions/{revision}",
    response_model=AssessmentResult,
    summary="Read a revision of the result",
    responses=answers(400, 401, 403, 404),
)
async def read_revision(
    assessment_id: Id,
    revision: Annotated[int, Field(ge=1), BeforeValidator(digits), Path()],
    services: ServicesDep,
    scope: ScopeDep,
) -> Response:
    view = await services.queries.published(assessment_id, scope, revision=revision)
    if view is None or view.document is None:
        raise NotFound("No such result")
    return result_response(view, view.document)


def published(view: Shown | None) -> Shown:
    """Check that the assessment exists, and that its result is ready or being prepared.

    Raises:
        NotFound: the assessment does not exist or is outside the viewer's scope.
        RecommendationNotReady: it has not been submitted.
        AssessmentFailed: it has failed.
    """
    if view is None:
        raise NotFound("No such assessment")
    match view.status:
        case AssessmentStatus.IN_PROGRESS:
            raise RecommendationNotReady("The assessment has not been submitted")
        case AssessmentStatus.FAILED:
            raise AssessmentFailed("The assessment failed", details={"reason": view.failure_reason})
        case _:
            return view


def result_response(view: PublishedView, document: str) -> Response:
    """Return the stored document unchanged, or without the right answers if the viewer must not see them."""
    if view.reveals_answers:
        return Response(document, media_type="application/json")
    return JSONResponse(shown_document(view, document))


def pending(assessment_id: Id, view: PublishedView) -> Response:
    """Return 202 with the current step."""
    stage = IN_REVIEW if view.in_review else view.stage
    body = ResultPending(assessment_id=assessment_id, status="awaiting_async", stage=stage)
    retry_after_s = RETRY_AFTER_REVIEW_S if view.in_review else RETRY_AFTER_S
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True), 202, headers={"Retry-After": str(retry_after_s)}
    )
