"""Give and read feedback on a recommendation."""

from typing import Annotated

from fastapi import Query, Response

from api.dependencies import ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.recommendations import (
    Feedback,
    FeedbackList,
    RecommendationFeedbackRequest,
    RecommendationFeedbackResponse,
)
from api.services.feedback import FeedbackService
from domain.errors import InvalidInput, NotFound, Problem
from persistence.repositories.feedback import NewFeedback
from persistence.request_database import RequestUnitOfWork

recommendations = router(prefix="/recommendations", tags=["Recommendations"])


@recommendations.post(
    "/{recommendation_id}/feedback",
    status_code=201,
    summary="Submit feedback for a recommendation",
    response_description="Feedback recorded",
    response_model=RecommendationFeedbackResponse,
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def give_feedback(
    recommendation_id: Id, feedback: RecommendationFeedbackRequest, scope: ScopeDep, command: IdempotencyDep
) -> Response:
    """Each feedback is stored with the current revision. `credential_id` limits it to one recommended item."""
    if feedback.submitted_by_role not in (None, command.principal.role.value):
        raise InvalidInput("The request is not valid", (Problem("submitted_by_role", "is not the caller's role"),))
    new = NewFeedback(
        relevance_score=feedback.relevance_score,
        acceptance_status=feedback.acceptance_status,
        comments=feedback.comments,
        credential_id=feedback.credential_id,
    )

    async def give(uow: RequestUnitOfWork) -> CommandResult:
        receipt = await FeedbackService(uow).give(recommendation_id, scope, command.actor, new)
        return CommandResult(response=RecommendationFeedbackResponse.model_validate(receipt))

    return await command.execute(give)


@recommendations.get(
    "/{recommendation_id}/feedback",
    summary="List the feedback on a recommendation",
    responses=answers(400, 401, 403, 404),
)
async def list_feedback(
    recommendation_id: Id, query: Annotated[PageQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> FeedbackList:
    """Newest first, with feedback on earlier revisions."""
    if not await services.queries.is_recommended(recommendation_id, scope):
        raise NotFound("No such recommendation")
    views = await services.queries.feedback(recommendation_id, scope, query.after, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.feedback_id)
    return FeedbackList(items=[Feedback.model_validate(view) for view in page], next_cursor=next_cursor)
